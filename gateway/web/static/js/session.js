// Who is signed in, for as long as this tab is open. The token is sent in a header only, so no other page can lend it.

const KEY = "session";

export function session() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY));
    return kept?.token && kept.expires_at > Date.now() ? kept : null;
  } catch {
    return null;
  }
}

export function keep(address, { token, expires_at }) {
  sessionStorage.setItem(KEY, JSON.stringify({ address, token, expires_at }));
}

export function forget() {
  sessionStorage.removeItem(KEY);
}

export function isMine(address) {
  return Boolean(address) && session()?.address.toLowerCase() === address.toLowerCase();
}
