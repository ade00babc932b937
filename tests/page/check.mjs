// Opens pages of hangscope in Chromium, one browser for all: nothing may reach for the network or fail, the graph must be that of
// threads.json, the search must find a function, the keyboard must reach everything, and axe must find nothing in both themes.
//
//   node check.mjs FOLDER SHOTS
//
// FOLDER holds pages, NAME.html, with NAME.json beside those of a hang (its threads.json). Screenshots go to SHOTS.
import { mkdirSync, readFileSync, readdirSync, existsSync, statSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { readBack } from './speedscope.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const [folder, shots] = process.argv.slice(2).map((path) => resolve(path));
mkdirSync(shots, { recursive: true });
const problems = [];
const rows = [];

/** Threads and locks of threads.json, and who waits for whom. */
function expected(file) {
  const waits = new Map();
  const owners = new Map();
  const joins = new Set();
  const lock = (key) => waits.get(key) ?? waits.set(key, new Set()).get(key);
  for (const { tid, wait } of file.threads) {
    if (!wait) continue;
    if (wait.kind === 'join') {
      if (wait.owner != null) joins.add(`${tid} ${wait.owner}`);
    } else if (wait.address ?? wait.owner) {
      const key = wait.address ?? wait.symbol ?? wait.kind;
      lock(key).add(tid);
      if (wait.owner != null && !owners.has(key)) owners.set(key, wait.owner);
    }
  }
  const main = file.finding.lock;
  if (main) {
    main.waiters.forEach((tid) => lock(main.address).add(tid));
    if (main.owner_tid != null && !owners.has(main.address)) owners.set(main.address, main.owner_tid);
  }
  for (const edge of file.finding.ring.filter((edge) => edge.kind !== 'join')) {
    const key = [...waits].find(([, tids]) => tids.has(edge.tid))?.[0];
    if (key && edge.owner != null && !owners.has(key)) owners.set(key, edge.owner);
  }
  return { waits, owners, joins };
}

/** What the drawing has. */
const drawn = () => {
  const all = (selector) => [...document.querySelectorAll(`svg[data-graph=waits] ${selector}`)];
  const numbers = (text) => text.split(' ').map(Number);
  return {
    locks: all('[data-lock]').map((node) => node.dataset.lock),
    tids: all('[data-tid]').flatMap((node) => numbers(node.dataset.tid)),
    waits: all('[data-for]').flatMap((arrow) => numbers(arrow.dataset.waits).map((tid) => [arrow.dataset.for, tid])),
    owners: all('[data-of]').map((arrow) => [arrow.dataset.of, Number(arrow.dataset.owner)]),
    joins: all('[data-joins]').flatMap((arrow) => numbers(arrow.dataset.waits).map((tid) => `${tid} ${arrow.dataset.joins}`)),
  };
};

function compare(graph, file) {
  const { waits, owners, joins } = expected(file);
  const found = [];
  const same = (what, a, b) => {
    const [x, y] = [[...new Set(a)].sort(), [...new Set(b)].sort()];
    if (JSON.stringify(x) !== JSON.stringify(y)) found.push(`${what}: drawn ${x.join(' ')}; threads.json ${y.join(' ')}`);
  };
  // Of very many objects only the most telling are drawn.
  const cut = waits.size > graph.locks.length && graph.locks.length >= 24;
  const keys = cut ? graph.locks : [...waits.keys()];
  same('locks', graph.locks, keys);
  same('waiters', graph.waits.map(String), keys.flatMap((key) => [...(waits.get(key) ?? [])].map((tid) => `${key},${tid}`)));
  same('owners', graph.owners.map(String), keys.filter((key) => owners.has(key)).map((key) => `${key},${owners.get(key)}`));
  const shown = new Set(graph.tids.map(String));
  same('joins', graph.joins, [...joins].filter((join) => keys.length && shown.has(join.split(' ')[1])));
  same('threads', graph.tids, [...new Set([...graph.waits.map(([, tid]) => tid), ...graph.owners.map(([, tid]) => tid),
    ...graph.joins.flatMap((join) => join.split(' ').map(Number))])]);
  return found;
}

/** Whether Tab reaches everything that can be used, and whether the focus is seen. */
async function keyboard(page) {
  const wanted = await page.evaluate(() => {
    const all = [...document.querySelectorAll('a[href]:not([tabindex="-1"]), button, input, summary, [tabindex="0"]')];
    // What stands in a closed box is reached once the box is open.
    const seen = all.filter((element) => element.checkVisibility({ contentVisibilityAuto: false, visibilityProperty: true }));
    window.stops = { wanted: new Set(seen), reached: new Set(), unseen: 0 };
    document.addEventListener('focusin', ({ target }) => {
      window.stops.reached.add(target);
      if (getComputedStyle(target).outlineStyle === 'none') window.stops.unseen += 1;
    });
    document.activeElement?.blur();
    scrollTo(0, 0);
    return seen.length;
  });
  for (let n = 0; n < wanted + 3; n += 1) await page.keyboard.press('Tab');
  return page.evaluate(() => {
    const missed = [...window.stops.wanted].filter((element) => !window.stops.reached.has(element));
    return { missed: missed.map((element) => element.outerHTML.slice(0, 120)), unseen: window.stops.unseen };
  });
}

const browser = await chromium.launch({
  executablePath: execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim(),
  args: ['--no-sandbox', '--disable-dev-shm-usage', '--font-render-hinting=none'],
});

async function check(path, name, number, whole) {
  const bad = (what) => problems.push(`${name}: ${what}`);
  const url = pathToFileURL(path).href;
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' });
  const page = await context.newPage();
  page.on('console', (message) => bad(`console: ${message.text()}`));
  page.on('pageerror', (error) => bad(`error: ${error}`));
  page.on('request', (request) => { if (request.url() !== url) bad(`request: ${request.url()}`); });
  page.on('dialog', (dialog) => { bad(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  // The best of some times: others may have the processor for a moment.
  let ms = Infinity;
  for (let times = 0; times < 4 && ms > 2000; times += 1) {
    const begin = performance.now();
    await page.goto(url, { waitUntil: 'load' });
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    ms = Math.min(ms, Math.round(performance.now() - begin));
  }
  if (ms > 2000) bad(`took ${ms} ms`);
  const size = statSync(path).size;
  if (size > 10e6) bad(`has ${size} bytes`);

  const beside = path.replace(/\.html$/, '.json');
  if (existsSync(beside)) {
    const file = JSON.parse(readFileSync(beside, 'utf8'));
    compare(await page.evaluate(drawn), file).forEach(bad);
    const word = file.threads.flatMap((thread) => thread.frames).find((frame) => frame.in_allocator)?.function;
    // What a page shows as an escape is not found as it was.
    if (word && word.length < 200 && !/\p{C}/u.test(word)) {
      const input = page.locator('#search');
      await page.keyboard.press('/');
      await input.fill(word);
      const shown = await page.locator('.stack:not([hidden])').count();
      const said = Number(await page.locator('#found').getAttribute('data-shown'));
      if (!shown || shown !== said) bad(`the search for ${word} shows ${shown} and says ${said}`);
      await input.fill('no such function at all');
      if (await page.locator('.stack:not([hidden])').count()) bad('the search finds what is not there');
      await page.keyboard.press('Escape');
    }
  }

  const themes = number % 2 ? ['dark', 'light'] : ['light', 'dark'];
  for (const [at, width] of [1280, 390].entries()) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: themes[at] });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) bad(`is ${wide} px wider than ${width}`);
    await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path: join(shots, `${name}-${width}.png`), fullPage: whole && size < 6e5 });
    // Pages of a kind differ little: one of a kind is looked at in both themes, every second one in one of them.
    if (size > 6e5 || (!whole && (at === 1 || number % 2))) continue;
    const { violations } = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ['violations'] })`);
    for (const { id, nodes } of violations) bad(`axe, ${width} px, ${themes[at]}: ${id}: ${nodes[0].html.slice(0, 200)}`);
  }
  return { page, context, ms, size, bad };
}

/** What is the same on every page of a kind: keys, languages. */
async function checkKind(page, name, bad) {
  await page.setViewportSize({ width: 1280, height: 900 });
  const { missed, unseen } = await keyboard(page);
  if (missed.length) bad(`the keyboard misses ${missed.length}: ${missed[0]}`);
  if (unseen) bad(`the focus is not seen ${unseen} times`);
  const before = await page.evaluate(() => document.documentElement.lang);
  await page.click('#language');
  if ((await page.evaluate(() => document.documentElement.lang)) === before) bad('the language does not change');
  await page.evaluate(() => { document.documentElement.lang = 'ja'; });
  const heading = await page.locator('h2').first().innerText();
  if (!/[\u3040-\u9fff]/.test(heading)) bad(`a heading is not Japanese: ${heading}`);
  await page.screenshot({ path: join(shots, `${name}-ja.png`) });
}

const pages = readdirSync(folder).filter((name) => name.endsWith('.html')).sort();
const todo = [...pages.entries()];
const kinds = new Set(['hunt', 'matrix', 'night', 'hostile_marks', 'owner_spinning']);
// Two at a time: the browser and this script take turns otherwise.
await Promise.all([0, 1].map(async () => {
  for (let next = todo.shift(); next; next = todo.shift()) {
    const [number, file] = next;
    const name = basename(file, '.html');
    const whole = kinds.has(name);
    const { page, context, ms, size, bad } = await check(join(folder, file), name, number, whole);
    if (whole) await checkKind(page, name, bad);
    rows.push(`${name.padEnd(32)}${String(size).padStart(9)} bytes${String(ms).padStart(6)} ms`);
    await context.close();
  }
}));
rows.sort();
problems.push(...await readBack(browser, folder, shots));
await browser.close();
console.log(rows.join('\n'));
writeFileSync(join(shots, 'pages.txt'), `${rows.join('\n')}\n`);
if (!pages.length) problems.push('no page to look at');
if (problems.length) {
  console.error(`${problems.length} problems:\n${problems.join('\n')}`);
  process.exit(1);
}
