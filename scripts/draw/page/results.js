// How answers look: verdict, what the network sees, two tables, and how far apart the engines are.

const $ = (id) => document.getElementById(id);
const DIGITS = [...Array(10).keys()];
const DECIMALS = 3;

for (const engine of ["numpy", "keras"]) {
  $(engine).tBodies[0].append(...DIGITS.map(row));
}

function row(digit) {
  const tr = document.createElement("tr");
  const th = document.createElement("th");
  th.scope = "row";
  th.textContent = digit;
  const [bar, score] = ["bar", "score"].map((name) => {
    const td = document.createElement("td");
    td.className = name;
    return td;
  });
  bar.ariaHidden = "true";
  bar.append(document.createElement("div"));
  bar.firstChild.append(document.createElement("span"));
  tr.append(th, bar, score);
  return tr;
}

// Only changes are written: a screen reader says again what is written again.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function say(kind, verdict, detail = "", notes = []) {
  $("verdict").className = `verdict ${kind}`;
  write($("verdict"), verdict);
  write($("detail"), detail);
  if ($("notes").textContent !== notes.join("")) {
    const items = notes.map((note) => Object.assign(document.createElement("li"), { textContent: note }));
    $("notes").replaceChildren(...items);
  }
  $("notes").hidden = !notes.length;
}

function fill(engine, record) {
  const scores = record?.scores;
  $(engine).classList.toggle("unknown", !scores);
  const best = scores && Math.max(...scores);
  for (const digit of DIGITS) {
    const tr = $(engine).tBodies[0].rows[digit];
    const score = scores?.[digit];
    tr.classList.toggle("best", scores ? score === best : false);
    tr.cells[1].firstChild.firstChild.style.transform = `scaleX(${(score ?? 0) / 100})`;
    write(tr.cells[2], scores ? score.toFixed(DECIMALS) : "–");
  }
}

function paintPixels(side, pixels) {
  const canvas = $("seen");
  canvas.width = canvas.height = side;
  const image = new ImageData(side, side);
  pixels.forEach((value, i) => image.data.set([value, value, value, 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// The line below the tables: why Keras is not there yet, or the difference.
function compare(numpy, keras, difference) {
  const line = $("compared");
  if (keras.state === "loading") {
    write(line, "Keras is loading …");
  } else if (keras.error) {
    write(line, `Keras gives no scores: ${keras.error}`);
  } else if (difference === null || difference === undefined) {
    write(line, "");
  } else {
    const number = difference ? difference.toExponential(1) : "0";
    const parting = numpy.verdict === keras.verdict ? "" : ` Keras says: ${keras.verdict}`;
    write(line, `Greatest difference: ${number} percentage points.${parting}`);
  }
}

export function showAnswer({ side, pixels, notes, found, numpy, keras, difference }) {
  if (numpy.error) {
    say("wrong", "The model gives no scores.", numpy.error, notes);
  } else if (numpy.foreign) {
    const detail = `If it is one, my best guess is a ${numpy.guess}. Try again, larger and alone on the paper.`;
    say("", "That does not look like a digit to me.", detail, notes);
  } else if (found.length > 1) {
    const each = found.map(({ digit, score }) => `${digit ?? "?"} (${score.toFixed(1)})`);
    say("", numpy.verdict, `Each by itself, with its score in percent: ${each.join(", ")}.`, notes);
  } else {
    // "I am undecided: why" has its reason in small type.
    const [verdict, ...reason] = numpy.verdict.split(/(?<=:) /);
    say("", verdict, reason.join(" "), notes);
  }
  paintPixels(side, pixels);
  $("seen").classList.remove("blank");
  fill("numpy", numpy);
  fill("keras", keras);
  compare(numpy, keras, difference);
}

// Where each digit was found, over a picture; `whole` is where the paper shows it, as shares.
export function showBoxes(found, whole) {
  const share = (value) => `${(100 * value).toFixed(3)}%`;
  const drawn = found.filter(({ box }) => box).map(({ digit, box }) => {
    const [left, top, right, bottom] = box;
    const div = document.createElement("div");
    const name = document.createElement("span");
    name.textContent = digit ?? "?";
    div.className = digit === null ? "box unsure" : "box";
    const above = whole.top + top * whole.height;
    div.classList.toggle("low", above < 0.06); // there is no room above
    div.style.left = share(whole.left + left * whole.width);
    div.style.top = share(above);
    div.style.width = share((right - left) * whole.width);
    div.style.height = share((bottom - top) * whole.height);
    div.append(name);
    return div;
  });
  $("boxes").replaceChildren(...drawn);
}

export function showNothing(keras) {
  say("waiting", "No digit yet.", "Draw one on the paper; or drop, paste or choose a picture.");
  forget(keras);
}

export function showWaiting(keras) {
  say("waiting", "Looking …");
  forget(keras);
}

export function showError(verdict, detail, keras) {
  say("wrong", verdict, detail);
  forget(keras);
}

function forget(keras) {
  $("seen").width = $("seen").width; // which wipes it
  $("seen").classList.add("blank");
  fill("numpy", null);
  fill("keras", null);
  compare({}, keras, null);
}

export function showModel(name, folder) {
  const stored = folder ? `what you save is stored in ${folder}` : "nothing is stored";
  write($("about"), `Model: ${name}. Nothing leaves this computer, and ${stored}.`);
}
