const REQUIRED = [20, 19];

/** Ends the process with a clear message on a Node that is too old. Written to be parsed by any Node with ES modules. */
export function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > REQUIRED[0] || (major === REQUIRED[0] && minor >= REQUIRED[1])) return;
  console.error(
    `Fleetwire needs Node ${REQUIRED.join('.')} or newer; this is Node ${process.versions.node} (${process.execPath}).`,
  );
  process.exit(1);
}
