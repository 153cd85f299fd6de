// What the journeys stand on: the program with sales of its own, Chromium, axe, and checks that say what they waited for.
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import assert from 'node:assert/strict';

const modules = createRequire(join(process.env.MODULES, 'package.json'));
const puppeteer = modules('puppeteer-core');
const axe = await readFile(modules.resolve('axe-core/axe.min.js'), 'utf8');

// One person inside at a time, so that the next one has to wait.
const NARROW = `id = "narrow"
title = "Summer Night"
opens_at = "2020-01-01T00:00:00Z"
admission = { pace_per_minute = 6000, active_passes = 1, pass_ttl = "5m", claim_grace = "60s" }
hold = { ttl = "5m" }
limits = { units_per_visitor = 4 }
[[items]]
id = "standing"
title = "Standing"
units = 100
price = { amount = "59.00", currency = "EUR" }
[[items]]
id = "seated"
title = "Seated"
units = 40
price = { amount = "89.00", currency = "EUR" }
`;
const LATER = `id = "later"
title = "Winter Night"
opens_at = "2126-01-01T00:00:00Z"
admission = { pace_per_minute = 60, active_passes = 10 }
[[items]]
id = "standing"
units = 10
`;
// Holds that end soon.
const SHORT = NARROW.replace('"narrow"', '"short"').replace('hold = { ttl = "5m" }', 'hold = { ttl = "3s" }').replace('active_passes = 1', 'active_passes = 100');

// Joining costs work.
const DEAR = NARROW.replace('"narrow"', '"dear"').replace('active_passes = 1', 'active_passes = 100, proof_of_work = { least = 50000, most = 50000 }');
// One unit: who comes second sees what becomes of it.
const LAST = NARROW.replace('"narrow"', '"last"').replace('active_passes = 1', 'active_passes = 100').replace('units = 100', 'units = 1').replace(/\[\[items\]\]\nid = "seated"[^]*/, '');

export async function program() {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-browser-'));
  const sales = [];
  for (const [name, text] of Object.entries({ narrow: NARROW, later: LATER, short: SHORT, dear: DEAR, last: LAST, wide: NARROW.replace('"narrow"', '"wide"').replace('active_passes = 1', 'active_passes = 100') })) {
    const file = join(folder, name + '.toml');
    await writeFile(file, text);
    sales.push('--sale', file);
  }
  const data = join(folder, 'data');
  const child = spawn(process.env.PROGRAM, ['dev', '--json', '--no-demo', '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--data', data, ...sales], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', bytes => { said += bytes; });
  const banner = await new Promise((done, fail) => {
    let text = '';
    child.stdout.on('data', bytes => {
      text += bytes;
      if (text.includes('\n')) done(JSON.parse(text.split('\n')[0]));
    });
    child.on('exit', code => fail(new Error(`the program ended with ${code}: ${said}`)));
  });
  return {
    ...banner,
    // What an operator does: act('POST', 'last/pause', { message: '...' }).
    async act(method, path, body = {}) {
      const headers = { authorization: `Bearer ${banner.operator_key}`, 'content-type': 'application/json' };
      const answer = await fetch(`${banner.admin}/admin/v1/sales/${path}`, { method, headers, body: JSON.stringify(body) });
      assert.equal(answer.status, 200, `${method} ${path}: ${await answer.text()}`);
    },
    async end() {
      child.removeAllListeners('exit');
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function chromium() {
  const binary = process.env.CHROMIUM || '/usr/bin/chromium';
  const args = ['--no-sandbox', '--disable-dev-shm-usage', '--lang=en-US'];
  return puppeteer.launch({ executablePath: binary, headless: true, args, defaultViewport: { width: 390, height: 760 } });
}

// A person's browser: cookies of its own, one or more tabs.
export async function person(browser, { script = true } = {}) {
  const context = await browser.createBrowserContext();
  return {
    context,
    async tab(address) {
      const page = await context.newPage();
      page.wrong = [];
      // Streams of events that the server gave this tab.
      page.streams = 0;
      page.on('response', answer => { page.streams += answer.url().endsWith('/ticket/events') && answer.status() === 200 ? 1 : 0; });
      page.on('pageerror', error => page.wrong.push(String(error)));
      page.on('console', message => {
        // What a browser says about a lost connection is no fault of the page.
        if (message.type() === 'error' && !/net::ERR_|Failed to load resource/.test(message.text())) page.wrong.push(message.text());
      });
      await page.setJavaScriptEnabled(script);
      await page.goto(address, { waitUntil: 'load' });
      return page;
    },
    end: () => context.close(),
  };
}

export const view = page => page.$eval('main', main => main.dataset.view).catch(() => '');

// Waits for a level, with a deadline.
export async function until(what, level, ms = 30000) {
  const end = Date.now() + ms;
  for (;;) {
    const seen = await level().catch(error => String(error));
    if (seen === true) return;
    if (Date.now() > end) assert.fail(`not within ${ms} ms: ${what} (last seen: ${seen})`);
    await new Promise(done => setTimeout(done, 50));
  }
}

export const shows = (page, ...faces) => until(`the page shows ${faces}`, async () => {
  const face = await view(page);
  return faces.includes(face) || face;
});

export const text = (page, what) => page.$eval(what, place => place.textContent);

// Serious findings of axe, on this face in light and dark.
export async function accessible(page, name) {
  for (const scheme of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }, { name: 'prefers-reduced-motion', value: 'reduce' }]);
    // Straight into the page: its policy lets no foreign script in.
    const client = await page.createCDPSession();
    await client.send('Runtime.evaluate', { expression: axe });
    const { result } = await client.send('Runtime.evaluate', {
      expression: 'axe.run(document).then(r => JSON.stringify(r.violations.filter(v => v.impact === "serious" || v.impact === "critical").map(v => [v.id, v.help, v.nodes.map(n => n.html)])))',
      awaitPromise: true,
      returnByValue: true,
    });
    await client.detach();
    assert.equal(result.value, '[]', `${name}, ${scheme}: ${result.value}`);
  }
  await page.emulateMediaFeatures([]);
}

// Nothing sticks out, also from right to left and on the narrowest phone.
export async function fits(page, name) {
  const before = page.viewport();
  await page.setViewport({ width: 320, height: 640 });
  for (const dir of ['ltr', 'rtl']) {
    const over = await page.evaluate(dir => {
      document.documentElement.dir = dir;
      return document.documentElement.scrollWidth - document.documentElement.clientWidth;
    }, dir);
    assert.equal(over, 0, `${name} ${dir} is ${over} px too wide`);
  }
  await page.evaluate(() => { document.documentElement.dir = 'ltr'; });
  await page.setViewport(before);
}

export async function picture(page, name) {
  if (!process.env.SCREENSHOTS) return;
  await page.screenshot({ path: join(process.env.SCREENSHOTS, `page-${name}.png`), type: 'png' });
}
