import { listSettings, type Setting } from './schema.js';

/** Every key with its default, unit, variable and meaning, as a Markdown table. */
export function configTable(): string {
  const rows = listSettings().map((setting) => [
    `\`${setting.name}\``,
    defaultInWords(setting),
    setting.unit,
    setting.variables.map((variable) => `\`${variable}\``).join(', '),
    setting.description,
  ]);
  return [['Key', 'Default', 'Unit', 'Variable', 'Meaning'], Array(5).fill('---'), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function defaultInWords({ written, fallback }: Setting): string {
  if (fallback) return fallback;
  if (written === null || written === '') return 'empty';
  if (Array.isArray(written)) return written.length === 0 ? 'empty' : `\`${written.join(', ')}\``;
  return `\`${String(written)}\``;
}
