// The gateway's interface: JSON in, JSON out, failures in words.

import { sentence } from "./dom.js";
import { Failure } from "./failure.js";

const PATIENCE_MS = 30_000;
const HELP = {
  401: "Sign in again; what you typed stays here.",
  409: "Nothing was changed.",
  429: "Wait a minute, then try again. Nothing was lost.",
};

// Raises Failure; with `token` as who signed in, with `signal` to be given up.
export async function call(method, path, { body, token, signal } = {}) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (token) headers.authorization = `Bearer ${token}`;
  const limit = AbortSignal.timeout(PATIENCE_MS);
  let answer, text;
  try {
    answer = await fetch(`/api/v1${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      credentials: "omit",
      cache: "no-store",
    });
    text = await answer.text();
  } catch (thrown) {
    if (signal?.aborted) throw thrown;
    throw unreachable(limit.aborted);
  }
  const given = read(text);
  if (answer.ok) return given;
  const ours = answer.status >= 500;
  throw new Failure(told(given, answer.status), {
    status: answer.status,
    detail: given?.detail ?? "",
    help: ours ? "Nothing was changed as far as we know. It is not tried again by itself; do so in a minute." : HELP[answer.status],
  });
}

export function unreachable(late) {
  return new Failure(late ? "The gateway has not answered for 30 seconds." : "The gateway cannot be reached.", {
    word: "No connection",
    help: "It may be restarting, or your connection is gone. It is not tried again by itself.",
  });
}

function told(given, status) {
  if (!given?.error) return `The gateway answered with an error (${status}).`;
  const { error, detail } = given;
  return detail && detail !== error ? `${error} ${sentence(detail)}` : error;
}

function read(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

export const named = (name) => `/names/${encodeURIComponent(name)}`;
