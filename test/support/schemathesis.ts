import { findPythonTool } from './python-tool.js';

/** The path of schemathesis, installed from PyPI on first use; or why there is none. */
export const findSchemathesis = () => findPythonTool('schemathesis', '4.32.5');
