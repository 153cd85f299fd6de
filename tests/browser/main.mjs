// The page in a real Chromium: buying with and without the script, two tabs, a lost connection, a hold that ends, what an operator
// does meanwhile, the waiting page of a CDN; nothing serious found by axe on any face.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accessible, chromium, fits, person, picture, program, shows, text, until, view } from './rig.mjs';

const quantity = (page, n) => page.$eval('[name="q.standing"]', (input, n) => { input.value = n; }, String(n));
const bookings = page => page.evaluate(async () => (await (await fetch('/v1/bookings')).json()).bookings);

// From the list of sales to the booking, looking at every face on the way.
async function a_person_buys(server, browser) {
  const someone = await person(browser);
  const page = await someone.tab(server.public);
  await accessible(page, 'sales');
  await page.click('a[href="/sales/wide"]');
  await shows(page, 'join');
  await accessible(page, 'join');
  await fits(page, 'join');
  await page.click('#join');
  // The turn is claimed by itself.
  await shows(page, 'choose');
  assert.equal(await text(page, '#say'), 'Choose', 'a screen reader is told');
  await accessible(page, 'choose');
  await fits(page, 'choose');
  await picture(page, 'choose');
  await quantity(page, 2);
  await page.click('#hold');
  await shows(page, 'holding');
  assert.equal(new URL(page.url()).search, '', 'the address stays that of the sale');
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H2', 'the keyboard goes where the news is');
  const clock = await text(page, '.clock');
  await until('the clock runs', async () => (await text(page, '.clock')) !== clock);
  await accessible(page, 'holding');
  await fits(page, 'holding');
  await page.reload();
  assert.equal(await view(page), 'holding', 'a refresh loses nothing');
  await picture(page, 'holding');
  await page.click('#confirm');
  await shows(page, 'booked');
  await accessible(page, 'booked');
  await fits(page, 'booked');
  await picture(page, 'booked');
  await page.goto(server.public);
  await page.goBack();
  await shows(page, 'booked');
  const all = await bookings(page);
  assert.equal(all.length, 1);
  assert.equal(await text(page, '#booking'), all[0].booking_id);
  assert.deepEqual(page.wrong, []);
  await someone.end();
}

async function a_person_without_a_script_buys(server, browser) {
  const someone = await person(browser, { script: false });
  const page = await someone.tab(server.public + '/sales/wide');
  const press = async what => Promise.all([page.waitForNavigation(), page.click(what)]);
  await press('#join');
  // The page reloads itself until it is the turn.
  await shows(page, 'called');
  await press('#enter');
  await page.focus('[name="q.standing"]');
  await page.keyboard.press('ArrowUp');
  await press('#hold');
  assert.equal(await view(page), 'holding');
  await press('#confirm');
  assert.equal(await view(page), 'booked');
  await someone.end();
}

// The script has the work done beside the page, under the page's own policy; without a script nobody gets in, and is told so.
async function where_joining_costs_work_the_browser_does_it(server, browser) {
  const someone = await person(browser);
  const page = await someone.tab(server.public + '/sales/dear');
  await shows(page, 'join');
  await accessible(page, 'join for work');
  await page.click('#join');
  await shows(page, 'choose');
  // The next place is paid for as well.
  await page.click('#leave');
  await shows(page, 'join');
  await page.click('#join');
  await shows(page, 'choose');
  assert.deepEqual(page.wrong, []);
  await someone.end();
  const plain = await person(browser, { script: false });
  const without = await plain.tab(server.public + '/sales/dear');
  await Promise.all([without.waitForNavigation(), without.click('#join')]);
  assert.equal(await view(without), 'join');
  assert.match(await text(without, '#note'), /needs JavaScript/);
  await plain.end();
}

// Inside in two tabs: what is held in one is shown in the other, and booked once.
async function two_tabs_are_one_person(server, browser) {
  const someone = await person(browser);
  const one = await someone.tab(server.public + '/sales/wide');
  await one.click('#join');
  await shows(one, 'choose');
  const two = await someone.tab(server.public + '/sales/wide');
  await shows(two, 'choose');
  await one.bringToFront();
  await quantity(one, 1);
  await one.click('#hold');
  await shows(one, 'holding');
  // The stale form of the other tab holds nothing more.
  await two.bringToFront();
  await two.evaluate(() => { if (document.querySelector('#hold')) { document.querySelector('[name="q.standing"]').value = 3; document.querySelector('#hold').click(); } });
  await shows(two, 'holding');
  assert.equal(await text(two, 'dl.card dd'), '1 ×');
  await Promise.all([one, two].map(tab => tab.$eval('#confirm', button => button.click())));
  await shows(one, 'booked');
  await shows(two, 'booked');
  assert.equal((await bookings(one)).length, 1);
  assert.deepEqual([...one.wrong, ...two.wrong], []);
  await someone.end();
}

// One is inside, the next waits, loses the connection, comes back, and enters when the first leaves.
async function who_loses_the_connection_keeps_the_place(server, browser) {
  const first = await person(browser), second = await person(browser);
  const inside = await first.tab(server.public + '/sales/narrow');
  await inside.click('#join');
  await shows(inside, 'choose');
  const waiting = await second.tab(server.public + '/sales/narrow');
  await waiting.click('#join');
  await shows(waiting, 'waiting');
  await accessible(waiting, 'waiting');
  await fits(waiting, 'waiting');
  await picture(waiting, 'waiting');
  await until('the server tells by itself', async () => waiting.streams > 0);
  const number = await waiting.$$eval('dd', places => places.at(-1).textContent);
  const banner = () => waiting.$eval('#offline', place => !place.hidden);
  await waiting.setOfflineMode(true);
  await until('the page says that it is offline', banner);
  await accessible(waiting, 'offline');
  await waiting.setOfflineMode(false);
  await until('the page goes on', async () => !(await banner()));
  assert.equal(await waiting.$$eval('dd', places => places.at(-1).textContent), number, 'the place is kept');

  // A form that is sent while there is no connection is sent again when there is.
  await inside.bringToFront();
  await inside.setOfflineMode(true);
  await inside.click('#leave');
  await until('the page says that it is offline', () => inside.$eval('#offline', place => !place.hidden));
  assert.equal(await view(waiting), 'waiting');
  await inside.setOfflineMode(false);
  await shows(inside, 'join');
  await waiting.bringToFront();
  await shows(waiting, 'choose');
  assert.equal(await text(waiting, '#say'), 'Choose');
  await waiting.click('#leave');
  await shows(waiting, 'join');
  assert.deepEqual([...inside.wrong, ...waiting.wrong], []);
  await first.end();
  await second.end();
}

async function a_hold_that_ends_is_told_and_one_chooses_again(server, browser) {
  const someone = await person(browser);
  const page = await someone.tab(server.public + '/sales/short');
  await page.click('#join');
  await shows(page, 'choose');
  await quantity(page, 1);
  await page.click('#hold');
  await shows(page, 'holding');
  await shows(page, 'choose');
  assert.match(await text(page, '#note'), /has ended/);
  assert.deepEqual(page.wrong, []);
  await someone.end();
}

async function other_faces_and_languages_are_readable(server, browser) {
  const someone = await person(browser);
  const page = await someone.tab(server.public + '/sales/later');
  await shows(page, 'scheduled');
  await accessible(page, 'scheduled');
  await page.click('a[hreflang=ko]');
  await page.waitForSelector('html[lang=ko]');
  assert.match(await text(page, 'h2'), /오픈 전/);
  await accessible(page, 'scheduled in Korean');
  await page.goto(server.public + '/sales/wide');
  assert.equal(await page.$eval('html', html => html.lang), 'ko', 'the choice is kept');
  await page.goto(server.public + '/sales/none');
  await accessible(page, 'no such sale');
  assert.deepEqual(page.wrong, []);
  await someone.end();
}

// Behind a proxy that lets no events through the poll brings the turn.
async function who_gets_no_events_is_not_forgotten(server, browser) {
  const first = await person(browser), second = await person(browser);
  const inside = await first.tab(server.public + '/sales/narrow');
  await inside.click('#join');
  await shows(inside, 'choose');
  const waiting = await second.tab(server.public + '/sales/narrow');
  let refused = 0;
  await waiting.setRequestInterception(true);
  waiting.on('request', request => {
    if (!request.url().endsWith('/ticket/events')) return request.continue();
    refused += 1;
    return request.respond({ status: 502, body: '' });
  });
  await waiting.click('#join');
  await shows(waiting, 'waiting');
  await until('it has asked for events', async () => refused > 0);
  await inside.bringToFront();
  await inside.click('#leave');
  await shows(inside, 'join');
  await waiting.bringToFront();
  await shows(waiting, 'choose');
  assert.deepEqual([refused, waiting.streams], [1, 0], 'who is refused does not insist');
  await waiting.click('#leave');
  await shows(waiting, 'join');
  assert.deepEqual([...inside.wrong, ...waiting.wrong], []);
  await first.end();
  await second.end();
}

// One unit, one person who has it, two in line who read different languages, and an operator who does everything there is to do.
async function what_an_operator_does_is_told_in_both_languages(server, browser) {
  const address = server.public + '/sales/last';
  const people = [await person(browser), await person(browser), await person(browser), await person(browser)];
  const [owner, english, korean, late] = await Promise.all(people.map(one => one.tab(address)));
  await korean.goto(address + '?lang=ko');
  const both = async (face, en, ko) => {
    for (const [page, words, language] of [[english, en, 'en'], [korean, ko, 'ko']]) {
      await page.bringToFront();
      await shows(page, face);
      assert.equal(await page.$eval('html', html => html.lang), language);
      await until(`${face} says ${words}`, async () => words.test(await text(page, 'main')) || text(page, 'main'));
      await accessible(page, `${face} in ${language}`);
      await fits(page, face);
    }
  };
  await owner.bringToFront();
  await owner.click('#join');
  await shows(owner, 'choose');
  await quantity(owner, 1);
  await owner.click('#hold');
  await shows(owner, 'holding');
  for (const page of [english, korean]) {
    await page.bringToFront();
    await page.click('#join');
  }
  // All is held: the place is kept, the unit may come back.
  await both('standby', /in other people's checkout/, /다른 분의 결제 단계/);

  await server.act('POST', 'last/pause', { message: 'We check the stage. 무대를 점검합니다.' });
  await both('paused', /We check the stage\. .*Places and reservations are kept/, /무대를 점검합니다\..*순서와 확보 내역은 유지/);
  await picture(english, 'paused');
  assert.equal(await view(owner), 'holding', 'who has something goes on');
  await server.act('POST', 'last/pause', { message: 'Ten more minutes. 10분 더 걸립니다.' });
  await both('paused', /Ten more minutes/, /10분 더/);
  await server.act('POST', 'last/resume', { ramp_ms: 0 });
  await both('standby', /checkout/, /결제 단계/);

  await server.act('PUT', 'last/joining', { open: false });
  await late.bringToFront();
  await shows(late, 'not_joining');
  assert.equal(await late.$('#join'), null);
  await accessible(late, 'not_joining');
  await late.click('a[hreflang=ko]');
  await late.waitForSelector('html[lang=ko]');
  assert.match(await text(late, 'h2'), /새로 참여할 수 없습니다/);
  await accessible(late, 'not_joining in Korean');
  await both('standby', /Your place is kept/, /순서는 유지/);

  await owner.bringToFront();
  await owner.click('#confirm');
  await shows(owner, 'booked');
  await both('sold_out', /Everything is sold/, /모두 판매되었습니다/);
  await server.act('POST', 'last/close', {});
  await both('closed', /Bookings stay as they are/, /예매 내역은 그대로/);
  await owner.reload();
  assert.equal(await view(owner), 'booked', 'a booking outlives its sale');
  assert.deepEqual([owner, english, korean, late].flatMap(page => page.wrong), []);
  for (const one of people) await one.end();
}

// The exported page stands where the server was, and gives way when it answers again.
async function the_waiting_page_gives_way(browser) {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-waiting-'));
  execFileSync(process.env.PROGRAM, ['page', 'export', folder]);
  const file = await readFile(join(folder, 'index.html'));
  let up = false, asked = 0, cookies = '';
  const cdn = createServer((request, response) => {
    asked += request.url === '/v1/sales' ? 1 : 0;
    cookies = request.headers.cookie || '';
    if (!up) {
      response.writeHead(503, { 'content-type': 'text/html', 'set-cookie': request.url === '/sales/x' ? 'hf_ticket=kept; Path=/; HttpOnly' : [] }).end(file);
    } else if (request.url === '/v1/sales') {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"sales":[]}');
    } else {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>back</title><main data-view=back></main>');
    }
  });
  await new Promise(done => cdn.listen(0, '127.0.0.1', done));
  const someone = await person(browser);
  const page = await someone.tab(`http://127.0.0.1:${cdn.address().port}/sales/x`);
  assert.equal(await page.$$eval('section:not([hidden])', sections => sections.map(s => s.lang).join()), 'en');
  await accessible(page, 'waiting page');
  await until('it has asked', async () => asked > 0);
  up = true;
  await shows(page, 'back');
  assert.equal(cookies, 'hf_ticket=kept');
  assert.deepEqual(page.wrong, []);
  await someone.end();
  await new Promise(done => cdn.close(done));
  cdn.closeAllConnections();
  await rm(folder, { recursive: true });
}

const server = await program();
const browser = await chromium();
let failed = 0;
const facts = [a_person_buys, a_person_without_a_script_buys, where_joining_costs_work_the_browser_does_it, two_tabs_are_one_person, who_loses_the_connection_keeps_the_place, who_gets_no_events_is_not_forgotten, a_hold_that_ends_is_told_and_one_chooses_again, what_an_operator_does_is_told_in_both_languages, other_faces_and_languages_are_readable];
for (const fact of [...facts.map(fact => Object.assign(() => fact(server, browser), { fact: fact.name })), Object.assign(() => the_waiting_page_gives_way(browser), { fact: 'the_waiting_page_gives_way' })]) {
  const begin = Date.now();
  try {
    await fact();
    console.log(`ok     ${fact.fact} (${Date.now() - begin} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${fact.fact}: ${error.stack}`);
  }
}
await browser.close();
await server.end();
process.exitCode = failed ? 1 : 0;
