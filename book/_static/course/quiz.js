// Makes the quizzes of a lesson clickable, with feedback and a score.
//
// A quiz is stored as HTML that needs no script: after each question, one <details> per option,
// with the verdict inside. Here each question becomes a group of buttons. Nothing is stored.

"use strict";

const quizzes = [];

class Quiz {
  constructor(box) {
    this.questions = [];
    let question = null;
    const title = box.querySelector("h3");
    if (title?.textContent === "Check yourself") title.remove(); // the section says the same
    for (const element of [...box.children]) {
      if (element.tagName === "DETAILS") {
        question.add(element);
      } else if (element.tagName === "P" && element.nextElementSibling?.tagName === "DETAILS") {
        question = new Question(element, () => quizzes.forEach((quiz) => quiz.showScore()));
        this.questions.push(question);
      } else if (element.tagName === "P") {
        element.textContent = "Choose an option.";
      }
    }
    this.score = make("p", "quiz-score", { role: "status" });
    const again = make("button", "quiz-again", { type: "button" });
    again.textContent = "Start again";
    again.addEventListener("click", () => {
      this.questions.forEach((one) => one.reset());
      quizzes.forEach((quiz) => quiz.showScore());
    });
    box.append(this.score, again);
    box.classList.add("quiz");
  }

  showScore() {
    const count = (questions, test) => questions.filter(test).length;
    const { questions } = this;
    const correct = count(questions, (one) => one.correct);
    const first = count(questions, (one) => one.first);
    const answered = count(questions, (one) => one.answered);
    let text = `${correct} of ${questions.length} correct, ${first} at the first attempt; ` +
      `${answered} answered.`;
    if (quizzes.length > 1) {
      const all = quizzes.flatMap((quiz) => quiz.questions);
      text += ` On the whole page: ${count(all, (one) => one.correct)} of ${all.length}.`;
    }
    this.score.textContent = text;
  }
}

class Question {
  constructor(text, changed) {
    this.changed = changed;
    this.options = [];
    this.group = make("fieldset", "quiz-question");
    const legend = make("legend", "");
    legend.append(...text.childNodes);
    this.feedback = make("p", "quiz-feedback", { role: "status" });
    this.group.append(legend, this.feedback);
    text.replaceWith(this.group);
    this.reset();
  }

  // Turn the <details> of an option into a button.
  add(details) {
    const [summary, verdict] = [details.querySelector("summary"), details.querySelector("p")];
    const button = make("button", "quiz-option", { type: "button", "aria-pressed": "false" });
    button.append(...summary.childNodes);
    verdict.querySelector("b").removeAttribute("style");
    const option = { button, verdict, right: verdict.textContent.trim().startsWith("✓") };
    this.options.push(option);
    button.addEventListener("click", () => this.choose(option));
    this.feedback.before(button);
    details.remove();
  }

  choose(option) {
    this.first = this.answered ? this.first : option.right;
    this.answered = true;
    this.correct = option.right;
    this.mark(option);
    this.feedback.replaceChildren(...[...option.verdict.childNodes].map((n) => n.cloneNode(true)));
    this.changed();
  }

  reset() {
    this.answered = this.correct = this.first = false;
    this.mark(null);
    this.feedback.replaceChildren();
  }

  mark(chosen) {
    for (const option of this.options) {
      option.button.setAttribute("aria-pressed", String(option === chosen));
      option.button.classList.toggle("quiz-right", option === chosen && option.right);
      option.button.classList.toggle("quiz-wrong", option === chosen && !option.right);
    }
    this.feedback.classList.toggle("quiz-right", Boolean(chosen?.right));
    this.feedback.classList.toggle("quiz-wrong", Boolean(chosen && !chosen.right));
  }
}

function make(tag, name, attributes = {}) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

for (const details of document.querySelectorAll(".tag_quiz .cell_output details:first-of-type")) {
  quizzes.push(new Quiz(details.parentElement));
}
quizzes.forEach((quiz) => quiz.showScore());
