// What is on the paper, and what was on it before: strokes of a pen, or a picture file.
// Points and widths are fractions of the paper's side, so that they fit every screen.

const EMPTY = Object.freeze({ strokes: [], picture: null });
const LONGEST_HISTORY = 500;
// The side in pixels of the picture that is sent: sixteen times what a network sees.
const SENT_SIDE = 448;

export class Sheet {
  #history = [];
  #now = EMPTY;

  get strokes() {
    return this.#now.strokes;
  }

  get picture() {
    return this.#now.picture;
  }

  get isEmpty() {
    return !this.picture && !this.strokes.length;
  }

  get hasPast() {
    return this.#history.length > 0;
  }

  // A stroke on a picture begins a new drawing; undo brings the picture back.
  begin(point, width) {
    this.#become({ strokes: [...this.strokes, { width, points: [point] }], picture: null });
  }

  extend(points) {
    this.strokes.at(-1).points.push(...points);
  }

  show(picture) {
    this.#become({ strokes: [], picture });
  }

  clear() {
    if (!this.isEmpty) this.#become(EMPTY);
  }

  undo() {
    if (this.hasPast) this.#now = this.#history.pop();
  }

  // What the server is asked about: the file as it is, or the strokes as a PNG; null if empty.
  file() {
    if (this.picture) return this.picture;
    if (this.isEmpty) return null;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SENT_SIDE;
    const context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, SENT_SIDE, SENT_SIDE);
    paint(context, this.strokes, "black");
    // Not toBlob, which waits until the browser has nothing else to do.
    const [, base64] = canvas.toDataURL("image/png").split(",");
    return new Blob([Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))]);
  }

  #become(next) {
    this.#history.push(this.#now);
    if (this.#history.length > LONGEST_HISTORY) this.#history.shift();
    this.#now = next;
  }
}

// Paint strokes over the whole of a square canvas.
export function paint(context, strokes, ink) {
  const side = context.canvas.width;
  context.strokeStyle = ink;
  context.lineCap = context.lineJoin = "round";
  for (const { width, points } of strokes) {
    context.lineWidth = width * side;
    context.beginPath();
    trace(context, points.map(([x, y]) => [x * side, y * side]));
    context.stroke();
  }
}

// A smooth line: each point bends it, and it passes midway between two points.
function trace(context, points) {
  const [first, ...rest] = points;
  const last = rest.pop() ?? first;
  const [endX, endY] = last;
  context.moveTo(...first);
  rest.forEach(([x, y], i) => {
    const [nextX, nextY] = rest[i + 1] ?? last;
    context.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
  });
  context.lineTo(endX + 0.01, endY); // a line of no length would not be the dot that a click is
}
