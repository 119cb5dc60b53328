// Questions to the server: JSON in; JSON or a picture out.

/** What the server refused, in its own sentence; `status` is that of HTTP (0: not reached). */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** How often a question is asked again while its answer is being made, and how long between, ms. */
const TIMES = 150;
const PAUSE = 400;

async function send(name, body, times = TIMES) {
  let reply;
  try {
    reply = await fetch(`/api/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      credentials: "same-origin",
    });
  } catch {
    throw new ApiError("the program does not answer: was it ended, or the tunnel closed?", 0);
  }
  const later = reply.status === 202 || reply.status === 503; // being made; too many at once
  if (later && times > 0) {
    await new Promise((done) => { setTimeout(done, PAUSE); });
    return send(name, body, times - 1);
  }
  if (reply.ok && !later) return reply;
  let sentence = `the program answers with status ${reply.status}`;
  try {
    sentence = (await reply.json()).error ?? sentence;
  } catch { /* no JSON: the status has to do */ }
  throw new ApiError(sentence, reply.status);
}

/** Ask for an object. */
export async function ask(name, body = {}) {
  return (await send(name, body)).json();
}

/** Ask for bytes: `{header, rest}`, the JSON header and the ArrayBuffer with its offset. */
export async function askBytes(name, body = {}) {
  const buffer = await (await send(name, body)).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { header, buffer, offset: 4 + length };
}

/** Ask for a picture. */
export async function picture(name, body = {}) {
  const { header, buffer, offset } = await askBytes(name, body);
  return new Picture(header, new Uint16Array(buffer, offset));
}

/** A map: levels of 16 bits, row by row from the lowest y; 0 is a pixel without a value. */
export class Picture {
  constructor(header, data) {
    this.header = header;
    this.data = data;
    [this.ny, this.nx] = header.shape;
  }

  /** Value of a pixel; NaN where there is none. */
  value(ix, iy) {
    const level = this.data[iy * this.nx + ix];
    return level === 0 ? NaN : this.header.low + (level - 1) * this.header.step;
  }

  /** Spacing of the pixels, [x, y]. */
  get pitch() {
    const { x, y } = this.header;
    return [
      this.nx > 1 ? (x[1] - x[0]) / (this.nx - 1) : 1,
      this.ny > 1 ? (y[1] - y[0]) / (this.ny - 1) : 1,
    ];
  }

  /** Edges of the picture [left, right, bottom, top], half a pixel beyond its outer centres. */
  get extent() {
    const [dx, dy] = this.pitch;
    const { x, y } = this.header;
    return [x[0] - dx / 2, x[1] + dx / 2, y[0] - dy / 2, y[1] + dy / 2];
  }

  /** Pixel at a place, [ix, iy], or null outside. */
  pixelAt(x, y) {
    const [dx, dy] = this.pitch;
    const ix = Math.round((x - this.header.x[0]) / dx);
    const iy = Math.round((y - this.header.y[0]) / dy);
    return ix >= 0 && iy >= 0 && ix < this.nx && iy < this.ny ? [ix, iy] : null;
  }
}
