(() => {
  const rgb = (c) => c.match(/[\d.]+/g).map(Number);
  const light = (c) => { const [r, g, b] = rgb(c).map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const ground = (el) => { for (; el; el = el.parentElement) { const c = getComputedStyle(el).backgroundColor, v = rgb(c); if (v.length < 4 || v[3] > 0) return c; } return 'rgb(255, 255, 255)'; };
  const bad = [], say = (el, what) => bad.push(what + ': ' + (el.id || el.tagName) + ' ' + el.textContent.trim().slice(0, 40));
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const el = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !el.checkVisibility() || el.closest('script, noscript')) continue;
    seen++;
    const style = getComputedStyle(el), size = parseFloat(style.fontSize);
    const least = size >= 24 || size >= 18.66 && style.fontWeight >= 700 ? 3 : 4.5;
    const got = ratio(style.color, ground(el));
    if (got < least) say(el, 'contrast ' + got.toFixed(2));
  }
  if (seen < 3) bad.push('only ' + seen + ' texts are visible');
  const named = (el) => el.textContent.trim() || el.getAttribute('aria-label') || el.getAttribute('aria-labelledby') || el.labels && el.labels.length;
  for (const el of document.querySelectorAll('button, a[href], input, select, summary, output')) {
    if (!el.checkVisibility()) continue;
    const box = el.getBoundingClientRect();
    if (!named(el)) say(el, 'no name');
    if (el.tagName !== 'OUTPUT' && box.height < 44 && el.tagName !== 'A') say(el, 'target of ' + Math.round(box.height) + ' px');
    if (el.tabIndex > 0) say(el, 'a focus order of its own');
  }
  for (const el of document.querySelectorAll('img')) if (!el.alt) say(el, 'no text');
  for (const el of document.querySelectorAll('svg')) if (el.getAttribute('aria-hidden') !== 'true' && !el.getAttribute('aria-label')) say(el, 'no text');
  for (const attribute of ['aria-labelledby', 'aria-describedby', 'aria-controls', 'for'])
    for (const el of document.querySelectorAll('[' + attribute + ']')) if (!document.getElementById(el.getAttribute(attribute))) say(el, attribute + ' leads nowhere');
  let level = 0;
  for (const el of document.querySelectorAll('h1, h2, h3, h4')) { const n = +el.tagName[1]; if (n > level + 1) say(el, 'heading order'); level = n; }
  if (document.querySelectorAll('h1').length !== 1) bad.push('not one h1');
  if (!document.documentElement.lang || !document.title) bad.push('no language or title');
  if (!document.querySelector('[aria-live], [role=status]')) bad.push('no live region');
  const ids = [...document.querySelectorAll('[id]')].map((el) => el.id);
  if (new Set(ids).size !== ids.length) bad.push('an id twice');
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) bad.push('wider than the screen');
  return bad;
})()
