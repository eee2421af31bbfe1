(() => {
  'use strict';
  const data = JSON.parse(document.getElementById('data').textContent);
  const text = data.texts, root = document.documentElement, base = location.pathname.replace(/\/$/, '');
  const at = (id) => document.getElementById(id);
  const fill = (template, n) => template.replace(/\{\w+\}/, n);
  const isFramed = window.parent !== window;
  const latency = 200; // ms that an event may have been on its way: no code is shown after its end
  let now = {}, deadline = 0, atDeadline = 0, offlineTimer = 0, connectUntil = 0, codeDeadline = 0, source = null, retryDelay = 1000, hasStarted = false, hasReported = false;

  // setText leaves a text alone that is there already: a screen reader would read it again.
  function setText(id, value) {
    if (at(id).textContent !== value) at(id).textContent = value;
  }

  function hideQR() {
    at('qr').hidden = true;
    at('qr').removeAttribute('src');
    at('left').hidden = true;
  }

  // show renders a state that the gateway reports.
  function show(status) {
    now = status;
    let phase = status.phase;
    const isOver = phase === 'expired' || phase === 'idle' && hasStarted;
    if (isOver) phase = performance.now() < connectUntil ? 'preparing' : 'expired';
    if (phase === 'scan') {
      deadline = performance.now() + status.expiresInMs - latency;
      clearTimeout(atDeadline);
      atDeadline = setTimeout(tick, deadline - performance.now());
      if (at('qr').getAttribute('src') !== status.qrCode) at('qr').src = status.qrCode;
      at('qr').hidden = false;
      at('left').hidden = false;
    } else {
      hideQR();
    }
    setPhase(phase);
    if (phase === 'idle') connect();
    if (phase === 'linked') onLinked();
    if (phase === 'linked' || phase === 'ended') close();
    tick();
  }

  function setPhase(phase) {
    const problem = now.problem;
    root.dataset.phase = phase;
    const words = phase === 'idle' || phase === 'renewing' ? 'preparing' : phase;
    setText('headline', phase === 'problem' && problem ? problem.title : text[words]);
    let line = text[words + 'Text'] || '';
    if (now.queue && words === 'preparing') line = fill(text.queue, now.queue.place);
    if (phase === 'problem' && problem) line = fill(text[problem.who], problem.help);
    setText('text', line);
    const namesCode = phase === 'problem' && problem && (problem.who === 'operator' || problem.who === 'developer');
    at('cause').hidden = !namesCode;
    if (namesCode && at('cause').dataset.code !== problem.code) {
      const code = document.createElement('code');
      code.textContent = at('cause').dataset.code = problem.code;
      at('cause').replaceChildren(code);
    }
    at('again').hidden = !(phase === 'expired' || phase === 'problem' && now.canRetry);
    const hidden = at('code-box').hidden ? ['linked', 'ended', 'scanned', 'problem'] : ['linked', 'ended'];
    at('by-phone').hidden = !data.pairsByPhone || hidden.includes(phase);
    const page = { linked: '✓ ', problem: '! ', expired: '! ' }[phase] || '';
    document.title = page + text.title;
  }

  // tick hides a code at its end, whatever the gateway says, and draws the time that is left.
  function tick() {
    const left = deadline - performance.now();
    if (!at('qr').hidden) {
      if (left <= 0) {
        hideQR();
        setPhase('renewing');
      } else {
        const rest = at('rest'), life = Math.max(now.lifeMs, now.expiresInMs);
        rest.style.strokeDashoffset = 100 - 100 * left / life;
        rest.classList.toggle('short', left < 6000);
        at('left').textContent = fill(text.left, Math.ceil(left / 1000));
      }
    }
    if (at('qr').hidden) at('rest').style.strokeDashoffset = 100;
    if (!at('code-box').hidden) {
      const rest = codeDeadline - performance.now();
      if (rest > 0) {
        const seconds = Math.ceil(rest / 1000);
        at('code-left').textContent = fill(text.codeLeft, Math.floor(seconds / 60) + ':' + String(seconds % 60).padStart(2, '0'));
      } else {
        at('code-box').hidden = true;
        setText('form-error', text.codeEnded);
      }
    }
  }

  function open() {
    close();
    source = new EventSource(base + '/events');
    source.addEventListener('open', () => { retryDelay = 1000; setOffline(false); });
    source.addEventListener('status', (event) => show(JSON.parse(event.data)));
    source.addEventListener('error', () => {
      if (now.phase === 'linked' || now.phase === 'ended') return;
      if (source && source.readyState === EventSource.CLOSED) check(); // the gateway refused the stream
      else setOffline(true);
    });
  }

  // setOffline tells of a lost connection, if it does not return at once.
  function setOffline(isOffline) {
    clearTimeout(offlineTimer);
    if (isOffline) offlineTimer = setTimeout(() => { at('offline').hidden = false; }, 4000);
    else at('offline').hidden = true;
  }

  function close() {
    if (source) source.close();
    source = null;
  }

  // check asks for the state once, and opens the stream again later.
  async function check() {
    close();
    try {
      const response = await fetch(base + '/events', { headers: { Accept: 'application/json' } });
      const body = await response.json();
      if (body.data) show(body.data);
      if (!body.data && (response.status === 404 || response.status === 410)) return show({ phase: 'ended' });
      setOffline(!body.data);
    } catch {
      setOffline(true);
    }
    if (now.phase === 'linked' || now.phase === 'ended') return;
    setTimeout(open, retryDelay);
    retryDelay = Math.min(retryDelay * 2, 15000);
  }

  async function connect() {
    hasStarted = true;
    connectUntil = performance.now() + 15000; // what the stream reports meanwhile may be older
    at('again').disabled = true;
    try {
      await fetch(base + '/connect', { method: 'POST' });
    } catch {
      setOffline(true);
    }
    at('again').disabled = false;
    connectUntil = performance.now() + 3000;
    setTimeout(() => { if (now.phase === 'idle' || now.phase === 'expired') show(now); }, 3100);
    if (!source) open();
  }

  function onLinked() {
    if (hasReported) return;
    hasReported = true;
    if (isFramed) {
      const ancestors = location.ancestorOrigins; // Firefox has none before version 146
      for (const origin of data.frameAncestors) {
        const isParent = !ancestors || ancestors[0] === origin;
        if (isParent) window.parent.postMessage({ type: 'qrgate.linked', sessionId: data.sessionId }, origin);
      }
    }
    if (data.redirectUrl) {
      at('go-on').href = data.redirectUrl;
      at('go-on').target = isFramed ? '_top' : '';
      at('go-on').hidden = false;
      if (!isFramed && !data.isUsed) setTimeout(() => location.assign(data.redirectUrl), 2000);
    }
  }

  async function askCode(event) {
    event.preventDefault();
    const number = at('number').value.replace(/[^\d+]/g, '');
    at('code-box').hidden = true;
    if (!/^\+?[1-9]\d{6,14}$/.test(number)) {
      setText('form-error', text.badNumber);
      at('number').setAttribute('aria-invalid', 'true');
      return at('number').focus();
    }
    at('number').removeAttribute('aria-invalid');
    setText('form-error', '');
    at('ask').disabled = true;
    at('ask').textContent = text.asking;
    try {
      const body = JSON.stringify({ phoneNumber: number });
      const response = await fetch(base + '/code', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
      const { data: found } = await response.json();
      if (response.ok && found) {
        codeDeadline = performance.now() + found.expiresIn * 1000;
        at('code').textContent = found.pairingCode;
        at('code-box').hidden = false;
        tick();
      } else {
        setText('form-error', { 400: text.badNumber, 429: text.manyCodes }[response.status] || text.noCode);
      }
    } catch {
      setText('form-error', text.noCode);
    }
    at('ask').disabled = false;
    at('ask').textContent = text.getCode;
  }

  at('qr').addEventListener('load', () => at('qr').classList.toggle('small', at('qr').naturalWidth < at('qr').clientWidth));
  at('again').addEventListener('click', () => {
    show({ phase: 'preparing' });
    at('headline').tabIndex = -1;
    at('headline').focus(); // the button is gone
    connect();
  });
  at('toggle').addEventListener('click', () => {
    const isOpen = at('form').hidden;
    at('form').hidden = !isOpen;
    at('steps').hidden = isOpen;
    root.dataset.mode = isOpen ? 'number' : 'qr';
    at('toggle').setAttribute('aria-expanded', isOpen);
    at('toggle').textContent = isOpen ? text.byQR : text.byPhone;
    if (isOpen) at('number').focus();
  });
  at('form').addEventListener('submit', askCode);
  document.addEventListener('visibilitychange', tick);
  window.addEventListener('pageshow', (event) => { if (event.persisted) check(); });
  setInterval(tick, 100);
  show(data.status);
  if (now.phase !== 'linked' && now.phase !== 'ended') open();
})();
