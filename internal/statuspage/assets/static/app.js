// Renews the page every ten seconds without losing one's place, and keeps "… ago" true between.
'use strict';
(() => {
  const every = 10000;
  const lang = document.documentElement.lang;
  const texts = {
    en: { now: 'just now', ago: '… ago', asOf: 'as of', down: 'qrgate does not respond. This page is as of' },
    es: { now: 'ahora mismo', ago: 'hace …', asOf: 'a las', down: 'qrgate no responde. Esta página es de las' },
  }[lang];
  const engine = encodeURIComponent(new URLSearchParams(location.search).get('engine') || '');
  const pause = document.getElementById('pause');
  const stale = document.getElementById('stale');
  const renewed = document.getElementById('renewed');
  let skew = 0; // between this clock and the server's
  let paused = false;

  const main = () => document.getElementById('main');
  const clock = (t) => new Date(t).toISOString().slice(11, 19) + ' UTC';

  const span = (s) => {
    if (s < 60) return s + ' s';
    if (s < 3600) return Math.floor(s / 60) + ' min';
    if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min';
    return Math.floor(s / 86400) + ' d ' + Math.floor(s % 86400 / 3600) + ' h';
  };
  const ago = (ms) => ms < 2000 ? texts.now : texts.ago.replace('…', span(Math.floor(ms / 1000)));

  const age = () => {
    const now = Date.now() + skew;
    for (const el of document.querySelectorAll('[data-ago]')) {
      const time = el.closest('time');
      const text = time ? ago(now - Date.parse(time.dateTime)) : el.textContent;
      if (el.textContent !== text) el.textContent = text;
    }
  };

  const settle = () => {
    const now = Date.parse(main().dataset.now);
    skew = now - Date.now();
    renewed.textContent = texts.asOf + ' ' + clock(now);
    stale.hidden = true;
    age();
  };

  // path finds the focused element again: by its id, or by where a link leads.
  const path = (el) => {
    if (!el || !main().contains(el)) return '';
    if (el.id) return '#' + CSS.escape(el.id);
    if (el.tagName === 'SUMMARY') return '#' + CSS.escape(el.parentElement.id) + ' > summary';
    return el.tagName === 'A' ? 'a[href="' + CSS.escape(el.getAttribute('href')) + '"]' : '';
  };

  const replace = (text) => {
    const next = new DOMParser().parseFromString(text, 'text/html');
    const fresh = next.getElementById('main');
    if (!fresh) throw new Error('the answer is not this page');
    const open = [...main().querySelectorAll('details[open]')].map((d) => d.id);
    const focused = path(document.activeElement);
    const before = main().dataset.level;
    main().replaceWith(document.adoptNode(fresh));
    for (const id of open) document.getElementById(id)?.setAttribute('open', '');
    if (focused) main().querySelector(focused)?.focus({ preventScroll: true });
    document.title = next.title;
    document.querySelector('link[rel=icon]').href = next.querySelector('link[rel=icon]').getAttribute('href');
    if (main().dataset.level !== before) {
      document.getElementById('announce').textContent = document.querySelector('.level').textContent + ': ' + document.getElementById('verdict').textContent;
    }
    settle();
  };

  const renew = async () => {
    if (paused || document.hidden) return;
    try {
      const res = await fetch('status?format=html&lang=' + lang + '&engine=' + engine, { cache: 'no-store', signal: AbortSignal.timeout(8000) });
      if (!res.ok) throw new Error('HTTP ' + res.status);
      replace(await res.text());
    } catch {
      stale.hidden = false;
      stale.textContent = texts.down + ' ' + clock(main().dataset.now) + '.';
    }
  };

  pause.hidden = false;
  pause.addEventListener('click', () => {
    paused = !paused;
    pause.setAttribute('aria-pressed', String(paused));
    if (!paused) renew();
  });
  document.addEventListener('visibilitychange', renew);
  settle();
  setInterval(age, 1000);
  setInterval(renew, every);
})();
