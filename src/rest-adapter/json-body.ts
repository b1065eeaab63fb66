/** A body as JSON; undefined without one. @throws status 400. */
export function parseJson(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw Object.assign(new Error('The body is not valid JSON'), { statusCode: 400 });
  }
}
