// The camera of this computer: what it sees, and a picture of it. Nothing of it is sent before that.

const WANTED = { audio: false, video: { facingMode: "environment", width: { ideal: 1280 } } };
const QUALITY = 0.92;

export class Camera {
  #video;
  #stream = null;

  constructor(video) {
    this.#video = video;
  }

  static get isThere() {
    return Boolean(navigator.mediaDevices?.getUserMedia);
  }

  get isOpen() {
    return this.#stream !== null;
  }

  async open() {
    this.#stream = await navigator.mediaDevices.getUserMedia(WANTED);
    this.#video.srcObject = this.#stream;
  }

  close() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = this.#video.srcObject = null;
  }

  // What it sees now, as a file; null as long as it sees nothing.
  async picture() {
    const { videoWidth, videoHeight } = this.#video;
    if (!videoWidth) return null;
    const canvas = document.createElement("canvas");
    canvas.width = videoWidth;
    canvas.height = videoHeight;
    canvas.getContext("2d").drawImage(this.#video, 0, 0);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
    return blob && new File([blob], "camera.jpg", { type: "image/jpeg" });
  }
}
