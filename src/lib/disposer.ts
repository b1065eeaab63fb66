/** Closes what was opened, last opened first. Closing twice is harmless; one failure does not stop the rest. */
export interface Disposer {
  add(name: string, close: () => void | Promise<void>): void;
  close(): Promise<void>;
}

export function createDisposer(onError: (name: string, error: unknown) => void): Disposer {
  const opened: { name: string; close: () => void | Promise<void> }[] = [];
  let closing: Promise<void> | undefined;
  async function closeAll(): Promise<void> {
    for (let entry = opened.pop(); entry; entry = opened.pop()) {
      try {
        await entry.close();
      } catch (error) {
        onError(entry.name, error);
      }
    }
  }
  return {
    add: (name, close) => void opened.push({ name, close }),
    close: () => (closing ??= closeAll()),
  };
}
