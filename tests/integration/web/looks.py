"""What a page must be for everybody, measured in the browser: labels, landmarks, contrast, focus, width."""

from __future__ import annotations

from typing import Final

from playwright.async_api import Page

_FAULTS: Final = r"""
() => {
  const faults = [];
  const seen = (element) => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
  const all = (selector) => [...document.querySelectorAll(selector)];
  const what = (element) => element.outerHTML.slice(0, 120);

  // Structure
  if (!document.documentElement.lang) faults.push("no language");
  if (!document.title) faults.push("no title");
  for (const [selector, number] of [["main", 1], ["header", 1], ["footer", 1], ["h1", 1]]) {
    if (all(`body ${selector}`).length !== number) faults.push(`not ${number} of ${selector}`);
  }
  const outside = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = outside.nextNode(); node; node = outside.nextNode()) {
    const holder = node.parentElement;
    if (!node.data.trim() || holder.closest("header, main, footer, .skip, noscript, template, [role=status]")) continue;
    faults.push(`outside of the landmarks: ${node.data.trim()}`);
  }
  let level = 0;
  for (const heading of all("h1, h2, h3, h4").filter(seen)) {
    const now = Number(heading.tagName[1]);
    if (now > level + 1) faults.push(`a level of headings is left out: ${what(heading)}`);
    level = now;
  }
  const ids = all("[id]").map((each) => each.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`twice: #${id}`);
  for (const each of all("[aria-labelledby], [aria-describedby]")) {
    const named = `${each.getAttribute("aria-labelledby") ?? ""} ${each.getAttribute("aria-describedby") ?? ""}`;
    for (const id of named.split(/\s+/).filter(Boolean)) {
      if (!document.getElementById(id)) faults.push(`names #${id}, which is not there: ${what(each)}`);
    }
  }

  // Names
  const named = (element) => element.getAttribute("aria-label") || element.textContent.trim();
  for (const each of all("input, select, textarea").filter(seen)) {
    if (!each.getAttribute("aria-label") && ![...(each.labels ?? [])].some((label) => label.textContent.trim())) {
      faults.push(`no label: ${what(each)}`);
    }
  }
  for (const each of all("a, button, summary").filter(seen)) if (!named(each)) faults.push(`no name: ${what(each)}`);
  for (const each of all("img")) if (!each.hasAttribute("alt")) faults.push(`no alternative: ${what(each)}`);
  for (const each of all("nav, [role=search], form").filter(seen)) {
    if (each.matches("nav") && !named(each)) faults.push(`no name: ${what(each)}`);
  }

  // Order: nothing jumps the queue
  for (const each of all("[tabindex]")) if (each.tabIndex > 0) faults.push(`tabindex: ${what(each)}`);

  // Size of what is pressed (WCAG 2.2, 2.5.8)
  for (const each of all("button, input, select, textarea").filter(seen)) {
    const { width, height } = each.getBoundingClientRect();
    if (width < 24 || height < 24) faults.push(`too small: ${what(each)}`);
  }

  // Contrast (WCAG 2, 1.4.3 and 1.4.11)
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const light = (colour) => {
    const shares = colour.map((part) => part / 255);
    const [r, g, b] = shares.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    if (!element) return [255, 255, 255, 1];
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, behind(element.parentElement));
  };
  let measured = 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const holder = node.parentElement;
    if (!node.data.trim() || !seen(holder)) continue;
    if (holder.closest(".away, .skip, option, :disabled, noscript, script, template")) continue;
    const style = getComputedStyle(holder);
    const back = behind(holder);
    const found = ratio(over(rgba(style.color), back), back);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    measured += 1;
    if (found < (large ? 3 : 4.5)) faults.push(`contrast ${found.toFixed(2)}: ${node.data.trim().slice(0, 40)}`);
  }
  if (measured < 10) faults.push(`only ${measured} texts were measured`);
  for (const each of all("input, select, textarea").filter(seen)) {
    const edged = each.closest(".wanted .box") ?? each;
    const found = ratio(rgba(getComputedStyle(edged).borderTopColor), behind(edged.parentElement));
    if (found < 3) faults.push(`contrast of an edge ${found.toFixed(2)}: ${what(each)}`);
  }

  // Width
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) {
    const wide = all("body *").filter((each) => seen(each) && each.getBoundingClientRect().right > clientWidth + 1);
    faults.push(`${scrollWidth} px in a window of ${clientWidth}: ${wide.slice(0, 3).map(what).join(" | ")}`);
  }
  return faults;
}
"""
_FOCUSED: Final = """
() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const box = element.closest(".wanted .box") ?? element;
  const style = getComputedStyle(box);
  const { top, left, width, height } = element.getBoundingClientRect();
  return {
    what: element.outerHTML.slice(0, 100),
    seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    inWindow: width > 0 && height > 0 && top < innerHeight && top + height > 0,
    place: [top + scrollY, left],
  };
}
"""


async def faults(page: Page) -> list[str]:
    """Everything that is wrong with the page as it stands; empty when nothing is."""
    found: list[str] = await page.evaluate(_FAULTS)
    return found


async def walk_by_tab(page: Page, most: int = 80) -> list[str]:
    """What the tabulator reaches from the top, in its order; AssertionError where focus cannot be seen or goes back."""
    await page.evaluate("""() => {
      Object.assign(document.body, { tabIndex: -1 }).focus();
      document.body.removeAttribute("tabindex");
    }""")
    reached: list[str] = []
    before = -1e9
    for _ in range(most):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(_FOCUSED)
        if focused is None or focused["what"] in reached[:1]:
            return reached
        assert focused["seen"], f"focus is not shown: {focused['what']}"
        assert focused["inWindow"], f"focus is out of sight: {focused['what']}"
        top = focused["place"][0]
        assert top > before - 80 or "skip" in reached[-1], f"focus goes back up: {focused['what']}"
        before = top
        reached.append(focused["what"])
    return reached
