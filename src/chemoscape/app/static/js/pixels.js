// Maps pixel by pixel: colours of levels, sums of colours, masks as veils and outlines. The lowest y
// comes last on a screen.

/** Fill an image's pixels (Uint32Array) by the colours of a picture's levels. */
export function fill(words, { nx, ny, data }, colours) {
  for (let row = 0; row < ny; row++) {
    let to = (ny - 1 - row) * nx;
    const from = row * nx;
    for (let i = from; i < from + nx; i++) words[to++] = colours[data[i]];
  }
}

const RGB = [[255, 0, 0], [0, 255, 0], [0, 0, 255]];

/** Fill an image's bytes by up to three pictures, each a colour between its limits [low, high];
 *  colours add as light does. */
export function fillComposite(out, { pictures, limits }, colours = RGB) {
  const { nx, ny } = pictures.find(Boolean);
  for (let row = 0; row < ny; row++) {
    for (let column = 0; column < nx; column++) {
      const to = 4 * ((ny - 1 - row) * nx + column);
      let seen = false;
      const sum = [0, 0, 0];
      for (let c = 0; c < 3; c++) {
        const value = pictures[c] ? pictures[c].value(column, row) : NaN;
        if (!Number.isFinite(value)) continue;
        seen = true;
        const [low, high] = limits[c] ?? [0, 1];
        const part = Math.min(Math.max((value - low) / (high - low || 1), 0), 1);
        for (let k = 0; k < 3; k++) sum[k] += part * colours[c][k];
      }
      for (let k = 0; k < 3; k++) out[to + k] = seen ? Math.min(sum[k], 255) : 224;
      out[to + 3] = 255;
    }
  }
}

/** A canvas that is white and nearly opaque but for the pixels of a mask. */
export function veilOf({ nx, ny, data }) {
  const canvas = document.createElement("canvas");
  canvas.width = nx;
  canvas.height = ny;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(nx, ny);
  const words = new Uint32Array(pixels.data.buffer);
  for (let iy = 0; iy < ny; iy++) {
    let to = (ny - 1 - iy) * nx;
    for (let i = iy * nx; i < (iy + 1) * nx; i++) words[to++] = data[i] > 1 ? 0 : 0xc8ffffff;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** A canvas with the boundary pixels of a mask in one colour. */
export function outlineOf(picture, colour) {
  const { nx, ny, data } = picture;
  const canvas = document.createElement("canvas");
  canvas.width = nx;
  canvas.height = ny;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(nx, ny);
  const inside = (ix, iy) => ix >= 0 && iy >= 0 && ix < nx && iy < ny && data[iy * nx + ix] > 1;
  for (let iy = 0; iy < ny; iy++) {
    for (let ix = 0; ix < nx; ix++) {
      if (!inside(ix, iy)) continue;
      const edge = !inside(ix - 1, iy) || !inside(ix + 1, iy) || !inside(ix, iy - 1) || !inside(ix, iy + 1);
      const to = 4 * ((ny - 1 - iy) * nx + ix);
      pixels.data.set([...colour, edge ? 255 : 70], to);
    }
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}
