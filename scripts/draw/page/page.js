// The page: what the user does to the paper, and what the server is asked about it.

import { paint, Sheet } from "./sheet.js";
import { Camera } from "./camera.js";
import { showAnswer, showBoxes, showError, showModel, showNothing, showWaiting } from "./results.js";

const ASK_PAUSE = 80; // milliseconds from a change to the question
const SLOW = 400;
const STATUS_PAUSE = 500;
const LARGEST_FILE = 20_000_000;
const REFUSALS = { 413: "That file is too large.", 422: "No digit to be seen." };

const $ = (id) => document.getElementById(id);
const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));

const sheet = new Sheet();
const canvas = $("drawing");
let keras = { state: "loading" };

// ---- The paper ----

let painting = false;

function repaint() {
  if (painting) return;
  painting = true;
  requestAnimationFrame(() => {
    painting = false;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    paint(context, sheet.strokes, getComputedStyle(canvas).color);
  });
}

function fit() {
  const side = Math.round(canvas.clientWidth * devicePixelRatio);
  if (side && canvas.width !== side) canvas.width = canvas.height = side;
  repaint();
}

new ResizeObserver(fit).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

let shown = null; // the picture file on the paper

function showPaper() {
  const picture = sheet.picture;
  const image = $("picture");
  if (picture !== shown) {
    if (image.src) URL.revokeObjectURL(image.src);
    image.removeAttribute("src");
    image.hidden = true;
    shown = picture;
    if (picture) image.src = URL.createObjectURL(picture);
  }
  write($("hint"), picture ? picture.name || "A picture" : "Draw here");
  $("hint").hidden = picture ? !image.hidden : !sheet.isEmpty;
  found = [];
  markFound();
  suggest(null);
  write($("kept"), "");
  $("keep").ariaDisabled = String(sheet.isEmpty);
  $("undo").ariaDisabled = String(!sheet.hasPast);
  $("clear").ariaDisabled = String(sheet.isEmpty);
  repaint();
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

let chosen = false; // whether the user has said which digit this is

// ---- Where digits were found ----

let found = [];

// Of a picture all are marked; of a drawing, where one knows what one drew, several.
function markFound() {
  const image = $("picture");
  const [width, height] = image.hidden ? [1, 1] : [image.naturalWidth, image.naturalHeight];
  const most = Math.max(width, height) || 1;
  const whole = {
    left: (1 - width / most) / 2, top: (1 - height / most) / 2, width: width / most, height: height / most,
  };
  const hidden = sheet.picture ? image.hidden : found.length < 2;
  showBoxes(hidden ? [] : found, whole);
}

// Until it is decoded, and if this browser cannot show its kind, a picture's name stands there.
$("picture").addEventListener("load", () => {
  $("picture").hidden = !shown;
  $("hint").hidden = true;
  markFound();
});

// ---- The question ----

let version = 0; // counts the changes
let started = 0; // the first version of what is on the paper; answers about older ones are stale
let answered = 0; // the version that the page shows an answer to
let asking = false;

// Call after every change; `fresh` means that answers on their way are about something else.
function changed(fresh) {
  version += 1;
  if (fresh) {
    started = version;
    chosen = false;
    showPaper();
    if (sheet.isEmpty) showNothing(keras);
  }
  ask();
}

// One question at a time; what changed meanwhile is asked about next.
async function ask() {
  if (asking) return;
  asking = true;
  $("answer").ariaBusy = "true"; // until the pen rests, a screen reader does not read
  let asked;
  do {
    await pause(ASK_PAUSE);
    asked = version;
    const file = sheet.file();
    if (file) await askAbout(file, asked);
  } while (asked !== version);
  $("answer").ariaBusy = "false";
  asking = false;
}

async function askAbout(file, asked) {
  const slow = setTimeout(wait, SLOW);
  const show = await answer(file);
  clearTimeout(slow);
  if (asked < started) return;
  answered = asked;
  show();
}

// Do not let stand what was said about something else.
function wait() {
  if (answered < started && !sheet.isEmpty) showWaiting(keras);
}

// Ask about a file; return what shows the answer.
async function answer(file) {
  if (file.size > LARGEST_FILE) {
    const detail = `Expected at most ${LARGEST_FILE / 1e6} MB. Received: ${(file.size / 1e6).toFixed(1)} MB.`;
    return () => showError(REFUSALS[413], detail, keras);
  }
  let body;
  try {
    body = await file.arrayBuffer();
  } catch {
    return () => showError("That file cannot be read.", "Was it moved or changed? Choose it again.", keras);
  }
  let response, result;
  try {
    response = await fetch("scores", { method: "POST", body });
    result = await response.json();
  } catch {
    return () => showError("The server does not answer.", "Is the command still running?", keras);
  }
  if (!response.ok) {
    const verdict = REFUSALS[response.status] ?? "That did not work.";
    return () => showError(verdict, sentence(result.error), keras);
  }
  return () => {
    learn(result.keras);
    showAnswer(result);
    ({ found } = result);
    markFound();
    suggest(result.numpy.digit);
  };
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}

// ---- Keras, which comes later ----

function learn(state) {
  if (keras.state === "loading") keras = { state: state.state, error: state.error };
}

async function waitForKeras() {
  while (keras.state === "loading") {
    try {
      const status = await (await fetch("status")).json();
      showModel(status.model, status.save);
      $("save").hidden = !status.save;
      learn(status.keras);
    } catch {
      // The server has gone; the next question will say so.
      await pause(4 * STATUS_PAUSE);
    }
    if (keras.state === "loading") await pause(STATUS_PAUSE);
  }
  if (sheet.isEmpty) showNothing(keras);
  else changed(false);
}

// ---- Pen, finger, mouse ----

let pointer = null;

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

canvas.addEventListener("pointerdown", (event) => {
  if (pointer !== null || event.button !== 0) return;
  pointer = event.pointerId;
  canvas.setPointerCapture(pointer);
  sheet.begin(place(event), $("pen").value / 100);
  changed(true);
});

canvas.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer) return;
  const events = event.getCoalescedEvents?.() ?? [];
  sheet.extend((events.length ? events : [event]).map(place));
  repaint();
  changed(false);
});

for (const name of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(name, (event) => {
    if (event.pointerId === pointer) pointer = null;
  });
}

// ---- Buttons and keys ----

function undo() {
  if (!sheet.hasPast) return;
  pointer = null;
  sheet.undo();
  changed(true);
}

function clear() {
  pointer = null;
  sheet.clear();
  changed(true);
}

$("undo").addEventListener("click", undo);
$("clear").addEventListener("click", clear);

addEventListener("keydown", (event) => {
  const { key, ctrlKey, metaKey, altKey, shiftKey } = event;
  const isUndo = (ctrlKey || metaKey) && !altKey && !shiftKey && key.toLowerCase() === "z";
  const isClear = !ctrlKey && !metaKey && !altKey && (key === "Delete" || key === "Escape");
  if (!isUndo && !isClear) return;
  event.preventDefault();
  (isUndo ? undo : clear)();
});

// ---- Picture files ----

function take(files) {
  const [file] = files;
  if (!file) {
    showError("That is not a picture file.", "Save the picture, and drop or choose the file.", keras);
    return;
  }
  pointer = null;
  sheet.show(file);
  changed(true);
}

$("file").addEventListener("change", (event) => {
  if (event.target.files.length) take(event.target.files);
  event.target.value = ""; // so that the same file can be chosen again
});

addEventListener("paste", (event) => {
  event.preventDefault();
  take(event.clipboardData.files);
});

function over(event) {
  event.preventDefault();
  $("paper").classList.add("over");
}

function notOver(event) {
  if (event.type === "drop" || !event.relatedTarget) $("paper").classList.remove("over");
}

addEventListener("dragenter", over);
addEventListener("dragover", over);
addEventListener("dragleave", notOver);
addEventListener("drop", (event) => {
  event.preventDefault();
  notOver(event);
  take(event.dataTransfer.files);
});

// ---- The camera ----

const REASONS = {
  NotAllowedError: "This browser was not allowed to use it; the address bar can allow it.",
  NotFoundError: "This computer has none that the browser knows.",
  NotReadableError: "Another program may be using it.",
};
const camera = new Camera($("camera"));

function showCamera(open) {
  $("camera").hidden = $("take").hidden = !open;
  write($("look"), open ? "Close the camera" : "Camera");
  $("boxes").hidden = open;
}

async function toggleCamera() {
  if (camera.isOpen) {
    camera.close();
    showCamera(false);
    return;
  }
  try {
    await camera.open();
    showCamera(true);
  } catch (error) {
    showError("The camera cannot be used.", REASONS[error.name] ?? sentence(error.message || error.name), keras);
  }
}

async function takePicture() {
  const file = await camera.picture();
  camera.close();
  showCamera(false);
  if (file) take([file]);
}

$("look").hidden = !Camera.isThere;
$("look").addEventListener("click", toggleCamera);
$("take").addEventListener("click", takePicture);

// ---- Saving ----

// What the network says is most often right; what the user has chosen, always.
function suggest(digit) {
  if (!chosen) $("label").value = String(digit ?? "");
}

$("label").addEventListener("change", () => { chosen = true; });

$("save").addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = sheet.file();
  if (!file) return;
  const label = $("label").value;
  if (!label) {
    write($("kept"), "Say first which digit it is.");
    return;
  }
  let said;
  try {
    const body = await file.arrayBuffer();
    const response = await fetch(`save?label=${encodeURIComponent(label)}`, { method: "POST", body });
    const result = await response.json();
    said = response.ok ? `Saved as a ${label}, ${result.saved} so far.` : sentence(result.error);
  } catch {
    said = "Not saved: the server does not answer.";
  }
  write($("kept"), said);
});

showPaper();
showNothing(keras);
waitForKeras();
