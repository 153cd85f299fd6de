// Live updates and the claim. Everything works without it; it only asks for what the page says, and shows what the server made.
(() => {
  'use strict';
  const find = (what, where = document) => where.querySelector(what);
  const all = what => [...document.querySelectorAll(what)];
  const main = () => find('main');
  const lang = document.documentElement.lang;
  const marks = [5000, 1000, 500, 100, 50, 10, 1];
  let timer, auto, source, quiet = 0, tries = 0, sending = false, clocks = [], words = {};

  // Nobody asks in step with others.
  const spread = ms => ms * (0.8 + Math.random() * 0.4);
  const later = n => spread(Math.min(30000, 1000 * 2 ** Math.min(n, 5)));
  const sleep = ms => new Promise(done => setTimeout(done, ms));
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const count = n => n.toLocaleString(lang);
  const put = (what, text) => { const place = find(what); if (place && place.textContent !== text) place.textContent = text; };
  const say = text => put('#say', text);
  const offline = yes => { find('#offline').hidden = !yes; };
  const checked = () => {
    const time = find('#checked');
    if (time) { time.dateTime = new Date().toISOString(); put('#checked', new Date().toLocaleTimeString(lang)); }
  };

  const json = async path => {
    const answer = await fetch(path, { headers: { Accept: 'application/json' } });
    if (answer.ok) return answer.json();
    if (answer.status >= 500 || answer.status === 429) throw answer;
    return { state: 'refused', poll_in_ms: 5000 };
  };

  // The server's page in place of the one that is shown. Who is choosing is not disturbed.
  const swap = (text, mine) => {
    const made = new DOMParser().parseFromString(text, 'text/html');
    const next = find('main', made), old = main(), held = document.activeElement;
    if (!next) throw text;
    const changed = old.dataset.view !== next.dataset.view;
    if (!mine && !changed && next.dataset.view === 'choose') { old.dataset.sig = next.dataset.sig; arm(); return; }
    const inside = old.contains(held);
    document.title = made.title;
    old.replaceWith(document.adoptNode(next));
    const again = inside && !changed && held.id && document.getElementById(held.id);
    if (again) again.focus(); else if (mine || inside) find('h2').focus();
    const note = find('main .note');
    if (changed) say(find('h2').textContent + (note ? '. ' + note.textContent : ''));
    else if (note && mine) say(note.textContent);
    begin();
  };

  const load = async () => {
    const answer = await fetch(location.pathname, { headers: { Accept: 'text/html' }, cache: 'no-store' });
    if (answer.status >= 500 || answer.status === 429) throw answer;
    swap(await answer.text(), false);
  };

  const wait = ({ p50, p90 }) => {
    const hours = p90 > 7200000, unit = hours ? 3600000 : 60000;
    const low = Math.max(1, Math.floor(p50 / unit)), high = Math.max(low + 1, Math.ceil(p90 / unit));
    return p90 <= 60000 ? words.wait_minute : fill(hours ? words.wait_hours : words.wait_minutes, { low: count(low), high: count(high) });
  };

  const show = (line, ticket) => {
    for (const { item, stock } of line ? line.items : []) {
      put(`[data-stock="${item}"]`, words['stock_' + stock]);
      const input = find(`[name="q.${item}"]`);
      if (input) input.disabled = stock === 'sold_out';
    }
    const place = find('#ahead');
    if (!ticket || !place || ticket.ahead === undefined) return;
    const before = +place.dataset.n, now = ticket.ahead;
    place.dataset.n = now;
    put('#ahead', count(now));
    put('#wait', ticket.wait_ms ? wait(ticket.wait_ms) : words.wait_unknown);
    put('#chance', words['chance_' + ticket.chance] || '');
    if (marks.some(mark => before > mark && now <= mark)) say(fill(words.say_ahead, { n: count(now) }));
  };

  const fine = () => { tries = 0; offline(false); };
  const again = ms => {
    clearTimeout(timer);
    timer = setTimeout(() => { if (!sending) load().then(fine).catch(look); }, Math.random() * ms);
  };
  const signature = (line, ticket) => `${line.state}${line.joining === false ? '!' : ''} ${ticket ? ticket.state : '-'} ${line.message}`;
  const part = n => main().dataset.sig.split(' ')[n].replace('!', '');

  // Near the front the server tells by itself, as long as somebody looks; the poll goes on behind it.
  const follow = () => {
    const { near, sale } = main().dataset, place = find('#ahead');
    if (!near || document.visibilityState !== 'visible') return unfollow();
    if (source || !window.EventSource || Date.now() < quiet || +place.dataset.n > +near) return;
    const mine = source = new EventSource(`/v1/sales/${sale}/ticket/events`);
    mine.addEventListener('line', event => { if (JSON.parse(event.data).state !== part(0)) again(3000); });
    mine.addEventListener('ticket', event => {
      const ticket = JSON.parse(event.data);
      if (ticket.state !== part(1)) return again(100);
      show(null, ticket);
      fine();
      checked();
    });
    // Refused: there is no room, or others are nearer.
    mine.onerror = () => { if (mine.readyState === 2 && mine === source) { source = null; quiet = Date.now() + spread(60000); arm(); } };
  };
  const unfollow = () => { if (source) source.close(); source = null; };

  const arm = () => {
    clearTimeout(timer);
    const { watch, poll } = main().dataset;
    if (watch) timer = setTimeout(look, spread(+poll));
  };

  const look = async () => {
    clearTimeout(timer);
    const { watch, sale, sig, poll } = main().dataset;
    if (!watch || sending) return;
    let next = +poll;
    try {
      if (watch === 'page') {
        await load();
        next = +main().dataset.poll;
      } else {
        const base = '/v1/sales/' + sale;
        const [line, ticket] = await Promise.all([json(base + '/line'), watch === 'ticket' ? json(base + '/ticket') : null]);
        if (signature(line, ticket) === sig) show(line, ticket); else await load();
        next = (ticket || line).poll_in_ms;
        follow();
        if (source && source.readyState === 1) next = Math.max(next, 15000);
      }
      fine();
      checked();
    } catch {
      tries += 1;
      next = 0;
      if (tries > 1 || !navigator.onLine) offline(true);
    }
    clearTimeout(timer);
    if (main().dataset.watch) timer = setTimeout(look, next ? spread(next) : later(tries));
  };

  // Work that the sale asks for before it gives a place; what comes of it goes into the form. A refusal is left for the form to tell.
  const prove = async form => {
    const path = `/v1/sales/${main().dataset.sale}/challenge`;
    let answer = await fetch(path);
    if (answer.status === 401 && (await fetch('/v1/visitors', { method: 'POST' })).ok) answer = await fetch(path);
    if (answer.status >= 500 || answer.status === 429) throw answer;
    if (!answer.ok) return;
    const challenge = await answer.json();
    put('#proof', words.proof_now);
    say(words.proof_now);
    find('[name=altcha]', form).value = await new Promise((done, fail) => {
      const worker = new Worker(form.dataset.proof);
      worker.onmessage = ({ data }) => { worker.terminate(); done(data); };
      worker.onerror = fail;
      worker.postMessage(challenge);
    });
  };

  // Every form may be sent again: what it asks for happens once.
  const send = async (form, mine) => {
    if (sending) return;
    sending = true;
    clearTimeout(timer);
    form.setAttribute('aria-busy', 'true');
    all('main button').forEach(button => { button.disabled = true; });
    for (let n = 0; ; n += 1) {
      try {
        if (form.dataset.proof) await prove(form);
        const body = new URLSearchParams(new FormData(form));
        const answer = await fetch(form.action, { method: 'POST', body, headers: { Accept: 'text/html' } });
        if (answer.status < 500 && answer.status !== 429) {
          const text = await answer.text();
          offline(false);
          sending = false;
          if ((answer.headers.get('content-type') || '').startsWith('text/html')) swap(text, mine); else location.replace(location.pathname);
          return;
        }
      } catch {
        offline(true);
      }
      await sleep(later(n));
    }
  };

  const enter = () => {
    clearTimeout(auto);
    const form = find('form[data-auto]');
    if (form && document.visibilityState === 'visible') auto = setTimeout(() => send(form, false), +form.dataset.auto + Math.random() * 500);
  };

  const count_down = () => {
    for (const clock of clocks) {
      const left = Math.max(0, Math.ceil((clock.ends - Date.now()) / 1000));
      const text = Math.floor(left / 60) + ':' + String(left % 60).padStart(2, '0');
      if (clock.place.textContent !== text) clock.place.textContent = text;
      if (left <= 60 && left > 0 && !clock.told) { clock.told = true; say(words.say_minute); }
      if (left === 0 && !clock.over) { clock.over = true; setTimeout(() => load().catch(look), 500 + Math.random() * 1500); }
    }
  };

  const begin = () => {
    words = JSON.parse(main().dataset.words || '{}');
    clocks = all('[data-ends]').map(place => ({ place, ends: Date.now() + +place.dataset.ends, told: +place.dataset.ends <= 60000 }));
    for (const time of all('time[data-at]')) time.textContent = new Date(time.dateTime).toLocaleString(lang, { dateStyle: 'long', timeStyle: 'short' });
    checked();
    enter();
    arm();
    follow();
  };

  // After sleep, in another tab, or back from the history: what is shown may be old.
  const wake = () => {
    follow();
    if (sending || document.visibilityState !== 'visible' || !main().dataset.view) return;
    again(400);
    enter();
  };

  document.addEventListener('submit', event => {
    if (event.target.method !== 'post') return;
    event.preventDefault();
    send(event.target, true);
  });
  document.addEventListener('visibilitychange', wake);
  addEventListener('pagehide', unfollow);
  addEventListener('pageshow', event => { if (event.persisted) wake(); });
  addEventListener('online', wake);
  addEventListener('offline', () => offline(true));
  setInterval(count_down, 250);
  if (location.search) history.replaceState(null, '', location.pathname);
  begin();
})();
