// Moves the explorers of a lesson, which were drawn ahead in many of their states.
//
// Each <section class="explorer"> contains its controls and, as JSON, its frames: the place of each
// control, the picture's file and the numbers in words. `table` gives the number of the frame for
// each combination of places, the last control fastest. Without this script, the controls stay
// hidden and the first picture is shown. A control with a process has buttons to step and play; it
// plays only when asked to.

"use strict";

const PAUSE = 1000; // milliseconds between two steps while playing

class Explorer {
  constructor(section, states) {
    Object.assign(this, states);
    this.folder = section.dataset.frames;
    this.image = section.querySelector("img");
    this.words = section.querySelector(".explorer-words");
    this.controls = [...section.querySelectorAll("input, select")];
    for (const control of this.controls) control.addEventListener("input", () => this.show());
    for (const group of section.querySelectorAll(".explorer-process")) new Player(this, group);
    section.addEventListener("pointerenter", () => this.load(), { once: true });
    section.addEventListener("focusin", () => this.load(), { once: true });
    section.querySelector(".explorer-controls").hidden = this.controls.length === 0;
    section.dataset.ready = "";
  }

  // How many values a control has.
  count(control) {
    return control.options?.length ?? Number(control.max) + 1;
  }

  // Show the frame for the controls, and set these to what it shows.
  show() {
    let place = 0;
    for (const control of this.controls) {
      place = place * this.count(control) + Number(control.value);
    }
    const frame = this.frames[this.table[place]];
    this.controls.forEach((control, i) => {
      control.value = frame.places[i];
      if (control.type !== "range") return;
      const text = JSON.parse(control.dataset.texts)[frame.places[i]];
      control.setAttribute("aria-valuetext", text);
      control.nextElementSibling.textContent = text;
    });
    this.image.src = `${this.folder}/${frame.file}`;
    this.words.innerHTML = frame.words;
    this.image.alt = this.words.textContent;
  }

  // Fetch all pictures, so that none has to be waited for while a control moves.
  load() {
    for (const { file } of this.frames) new Image().src = `${this.folder}/${file}`;
  }
}

// Moves one control of an explorer along its values, by steps or with time.
class Player {
  constructor(explorer, group) {
    this.explorer = explorer;
    this.control = group.querySelector("input, select");
    this.button = group.querySelector(".explorer-play");
    this.name = group.querySelector("label span").textContent;
    this.timer = null;
    const onClick = (kind, action) =>
      group.querySelector(`.explorer-${kind}`).addEventListener("click", action);
    onClick("back", () => this.step(-1));
    onClick("forward", () => this.step(1));
    onClick("play", () => (this.timer ? this.stop() : this.play()));
    for (const control of explorer.controls) control.addEventListener("input", () => this.stop());
  }

  step(by) {
    this.stop();
    this.move(by);
  }

  // Move the control; returns whether it could be moved.
  move(by) {
    const before = Number(this.control.value);
    const place = before + by;
    if (place < 0 || place >= this.explorer.count(this.control)) return false;
    this.control.value = place;
    this.explorer.show();
    return Number(this.control.value) !== before;
  }

  // Play to the end; from the beginning if that is reached already.
  play() {
    if (!this.move(1)) {
      this.control.value = 0;
      this.explorer.show();
    }
    this.timer = setInterval(() => this.move(1) || this.stop(), PAUSE);
    this.label();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.label();
  }

  // While it plays, a screen reader is not told every state.
  label() {
    const word = this.timer ? "pause" : "play";
    this.button.title = word;
    this.button.setAttribute("aria-label", `${this.name}: ${word}`);
    this.button.firstElementChild.textContent = this.timer ? "❚❚" : "▶\ufe0e";
    this.explorer.words.setAttribute("aria-live", this.timer ? "off" : "polite");
  }
}

for (const section of document.querySelectorAll(".explorer")) {
  const states = section.querySelector(".explorer-states");
  if (states) new Explorer(section, JSON.parse(states.textContent));
}
