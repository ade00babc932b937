// Loads exported profiles into speedscope itself, which says what it takes each of them for.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Files that the tests leave, and what speedscope says when it reads one. */
const profiles = {
  'export.speedscope': 'Importing as speedscope json file',
  'export.folded': 'Importing as collapsed stack format',
  'export.perf-script': 'Importing from linux perf script output',
};

/** What was wrong. */
export async function readBack(browser, folder, shots) {
  const package_ = createRequire(import.meta.url).resolve('speedscope/package.json');
  const url = pathToFileURL(join(dirname(package_), 'dist', 'release', 'index.html')).href;
  const problems = [];
  for (const [name, says] of Object.entries(profiles)) {
    const path = join(folder, name);
    // Only a part of the tests was run.
    if (!existsSync(path)) continue;
    const page = await browser.newPage({ viewport: { width: 1280, height: 700 } });
    const said = [];
    page.on('console', (message) => said.push(message.text()));
    page.on('pageerror', (error) => problems.push(`${name}: ${error}`));
    page.on('dialog', (dialog) => { problems.push(`${name}: ${dialog.message()}`); dialog.dismiss(); });
    await page.goto(url);
    await page.setInputFiles('input[type=file]', path);
    const loaded = page.waitForFunction(() => document.title !== 'speedscope', null, { timeout: 20_000 });
    await loaded.catch(() => problems.push(`${name}: speedscope does not open it: ${said.join('; ')}`));
    if (!said.includes(says)) problems.push(`${name}: speedscope does not say "${says}"`);
    await page.screenshot({ path: join(shots, `${name}.png`) });
    await page.close();
  }
  return problems;
}
