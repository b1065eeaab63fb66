import type { Document, ParsedNode } from 'yaml';
import { yamlPackage } from '../lib/yaml-package.js';

export interface YamlTree {
  root: unknown;
  /** The line of a key, from its path; undefined when it stands nowhere by itself. */
  lineOf(...path: string[]): number | undefined;
}

interface SyntaxProblem {
  offset: number;
  sentence: string;
}

/** The parser's own texts quote the file, and with it perhaps a password; these do not. */
const SYNTAX: Record<string, string> = {
  BAD_DQ_ESCAPE: "unknown escape in double quotes; put the value in 'single quotes'",
  BAD_INDENT: 'wrong indentation, or a bracket that is not closed; indent keys by two blanks',
  BAD_SCALAR_START: "a value cannot start with this character; put it in 'quotes'",
  BLOCK_AS_IMPLICIT_KEY: "wrong indentation, or a value with a colon; put such a value in 'quotes'",
  DUPLICATE_KEY: 'this key is there twice; keep one',
  MISSING_CHAR: 'a quote, bracket or colon is missing; write key: value and close what is open',
  MULTIPLE_DOCS: 'a second document starts here; keep one, without ---',
  NON_STRING_KEY: 'a key must be plain text',
  TAB_AS_INDENT: 'indented with a tab; use blanks',
  TAG_RESOLVE_FAILED: "a value that starts with ! is a YAML tag; put it in 'quotes'",
};
const OTHER =
  "not valid YAML; write key: value, and put values with special characters in 'quotes'";
const ALIAS = "a value that starts with * is a YAML alias of nothing; put it in 'quotes'";
const ANCHOR = "a value that starts with & is a YAML anchor of nothing; put it in 'quotes'";

/** Maps become `Map`, so that no key of a file can touch a prototype. Problems name line and column, from 1. */
export function parseYaml(text: string): YamlTree | { problems: string[] } {
  const { LineCounter, parseDocument } = yamlPackage();
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
  });
  const found = syntaxProblems(document);
  if (found.length > 0) {
    const texts = found.map(({ offset, sentence }) => {
      const { line, col } = lines.linePos(offset);
      return `line ${line}, column ${col}: ${sentence}`;
    });
    return { problems: [...new Set(texts)] };
  }
  try {
    return {
      root: document.toJS({ mapAsMap: true }),
      lineOf(...path) {
        const offset = keyOffset(document, path);
        return offset === undefined ? undefined : lines.linePos(offset).line;
      },
    };
  } catch {
    return { problems: ['line 1, column 1: too many YAML aliases; write the values out'] };
  }
}

function syntaxProblems(document: Document.Parsed<ParsedNode>): SyntaxProblem[] {
  const { isAlias, isScalar, visit } = yamlPackage();
  const found = [...document.errors, ...document.warnings].map(({ code, pos }) => ({
    offset: pos[0],
    sentence: SYNTAX[code] ?? OTHER,
  }));
  visit(document, {
    Node(_, node) {
      const offset = node.range?.[0] ?? 0;
      if (isAlias(node) && !node.resolve(document)) found.push({ offset, sentence: ALIAS });
      if (isScalar(node) && node.anchor && node.value === null) {
        found.push({ offset: offset - node.anchor.length - 1, sentence: ANCHOR });
      }
    },
  });
  return found;
}

function keyOffset(document: Document, path: readonly string[]): number | undefined {
  const { isMap, isNode, isScalar } = yamlPackage();
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const step of path) {
    const pair = isMap(node)
      ? node.items.find(({ key }) => isScalar(key) && key.value === step)
      : undefined;
    if (!isNode(pair?.key)) return undefined;
    offset = pair.key.range?.[0];
    node = pair.value;
  }
  return offset;
}
