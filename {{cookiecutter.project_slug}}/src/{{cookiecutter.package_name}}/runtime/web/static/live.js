"use strict";

// Everything that a server or a task says becomes text by `textContent`, never markup.

/** Milliseconds until a task is looked at again that has no stream. */
const AGAIN = 2000;

/** Streams that this page holds open: a browser opens six connections to a server for all its tabs. */
const MOST_STREAMS = 2;
let streams = 0;

/** What Django wants to see in a request that changes something. */
const { csrfToken } = document.documentElement.dataset;
const CSRF = csrfToken ? { "X-CSRFToken": csrfToken } : {};

/** What a state means, in words. */
const WORDS = {
  SENT: "waits for a worker",
  STARTED: "is running",
  PROGRESS: "is running",
  RETRY: "failed, and will be tried again",
  SUCCESS: "succeeded",
  FAILURE: "failed",
  REVOKED: "was cancelled",
};

const find = (selector, place = document) => place.querySelector(selector);

/** Return a copy of a template. */
const copy = (name) => find(`#${name}`).content.firstElementChild.cloneNode(true);

/** Write a text into an element, which is hidden if there is none. */
function say(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

/** Call the API; throw an error with the words of its problem. */
async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...options.headers, ...CSRF } });
  } catch {
    throw new Error("the web server does not answer: is it running?");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const fields = (body.errors || []).map((error) => `${error.field}: ${error.message}`);
    throw new Error([body.detail || `the answer is ${answer.status}`, ...fields].join("\n"));
  }
  return body;
}

/** Return the kind of a JSON schema; an optional one counts as what it may be besides null. */
function kindOf(schema) {
  const other = (schema.anyOf || []).find((one) => one.type !== "null");
  return other ? kindOf(other) : schema.enum ? "enum" : schema.type || "any";
}

/** Return an input for an argument, and a function that reads it. */
function input(schema) {
  const kind = kindOf(schema);
  const [example] = schema.examples || [];
  const start = schema.default ?? example;
  if (kind === "enum") {
    const element = document.createElement("select");
    const options = schema.enum || schema.anyOf.find((one) => one.enum).enum;
    options.forEach((value) => element.add(new Option(String(value), JSON.stringify(value))));
    if (start !== undefined) element.value = JSON.stringify(start);
    return [element, () => JSON.parse(element.value)];
  }
  if (kind === "boolean") {
    const element = document.createElement("input");
    element.type = "checkbox";
    element.checked = Boolean(start);
    return [element, () => element.checked];
  }
  const isText = kind === "string";
  const isNumber = kind === "number" || kind === "integer";
  const element = document.createElement(isText || isNumber ? "input" : "textarea");
  element.spellcheck = false;
  element.value = start === undefined || start === null ? "" : isText ? start : JSON.stringify(start);
  return [
    element,
    () => {
      if (isText) return element.value || (schema.default === null ? null : element.value);
      if (!element.value.trim()) return schema.default ?? undefined;
      return JSON.parse(element.value);
    },
  ];
}

/** Return the form that sends a task. */
function formOf(task) {
  const form = copy("task");
  const read = {};
  const error = find(".error", form);
  find("h3", form).textContent = task.task;
  find(".about", form).textContent = task.description;
  for (const [name, schema] of Object.entries(task.arguments.properties || {})) {
    const label = document.createElement("label");
    const hint = document.createElement("span");
    const [element, reader] = input(schema);
    hint.className = "hint";
    hint.textContent = schema.description || "";
    label.append(name, element, hint);
    find(".fields", form).append(label);
    read[name] = () => {
      try {
        return reader();
      } catch {
        throw new Error(`${name}: ${element.value} is not valid JSON`);
      }
    };
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = find("button", form);
    button.disabled = true;
    say(error, "");
    try {
      const values = Object.entries(read).map(([name, reader]) => [name, reader()]);
      const body = JSON.stringify({ task: task.task, arguments: Object.fromEntries(values) });
      const headers = { "Content-Type": "application/json" };
      const { id } = await call("tasks", { method: "POST", headers, body });
      follow(id, task);
    } catch (problem) {
      say(error, problem.message);
    }
    button.disabled = false;
  });
  return form;
}

/** Show a task that was sent, and follow it until it has ended. */
function follow(id, task) {
  const run = copy("run");
  const path = `tasks/${id}`;
  const bar = find("progress", run);
  const cancel = find(".cancel", run);
  const error = find(".error", run);
  find("h3", run).textContent = task.task;
  find(".id", run).textContent = id;
  find("#none").hidden = true;
  find("#runs").prepend(run);

  function show(status) {
    run.dataset.state = status.state;
    const { percent, message } = status.progress || {};
    find(".state", run).textContent = WORDS[status.state] || status.state;
    find(".message", run).textContent = typeof percent === "number" ? `${percent} % ${message || ""}` : "";
    if (typeof percent === "number") bar.value = percent;
    else if (status.ended) bar.value = status.state === "SUCCESS" ? 100 : bar.value;
    else bar.removeAttribute("value");
    say(error, status.failure ? `${status.failure.error}: ${status.failure.message}` : "");
  }

  async function end(status) {
    show(status);
    cancel.remove();
    bar.hidden = true;
    if (status.state !== "SUCCESS") return;
    const { result } = await call(`${path}/result`);
    say(find(".result", run), typeof result === "string" ? result : JSON.stringify(result, null, 2));
    const link = find(".download", run);
    link.href = `${path}/artifact`;
    link.hidden = !task.has_artifact;
  }

  const fail = (problem) => say(error, problem.message);

  /** Look at the task once, and soon again, where there is no stream. */
  async function look() {
    try {
      const status = await call(path);
      if (status.ended) return await end(status);
      show(status);
    } catch (problem) {
      fail(problem);
    }
    setTimeout(listen, AGAIN);
  }

  function listen() {
    if (streams >= MOST_STREAMS) return look();
    const stream = new EventSource(`${path}/events`);
    const close = () => {
      stream.close();
      streams -= 1;
    };
    streams += 1;
    stream.addEventListener("status", (event) => show(JSON.parse(event.data)));
    stream.addEventListener("end", (event) => {
      close();
      end(JSON.parse(event.data)).catch(fail);
    });
    stream.addEventListener("problem", (event) => {
      close();
      fail(new Error(JSON.parse(event.data).detail));
      setTimeout(listen, AGAIN);
    });
    // A browser connects again by itself after a broken stream, but not after a refused one, for
    // example because too many are open.
    stream.addEventListener("error", () => {
      if (stream.readyState !== EventSource.CLOSED) return;
      close();
      look();
    });
  }

  cancel.addEventListener("click", async () => {
    cancel.disabled = true;
    say(error, "");
    try {
      await call(path, { method: "DELETE" });
    } catch (problem) {
      fail(problem);
      cancel.disabled = false;
    }
  });
  listen();
}

call("tasks").then(
  ({ tasks }) => find("#tasks").append(...tasks.map(formOf)),
  (problem) => say(find("#broken"), problem.message),
);
