// Asks a Prometheus for what the panels show, and takes a picture of each dashboard.
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const { values } = parseArgs({
  options: {
    prometheus: { type: 'string', default: 'http://localhost:9090' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    out: { type: 'string', default: 'pictures' },
    hours: { type: 'string', default: '24' },
    start: { type: 'string' },
    end: { type: 'string', default: String(Math.floor(Date.now() / 1000)) },
    theme: { type: 'string', default: 'dark' },
    var: { type: 'string', multiple: true, default: [] },
  },
});
const WIDTH = 1400;
const end = Number(values.end);
const start = Number(values.start ?? end - Number(values.hours) * 3600);
const step = Math.max(1, Math.round((end - start) / 360));
const variables = { __rate_interval: `${Math.max(4, step * 2)}s`, ...Object.fromEntries(values.var.map((pair) => pair.split(/=(.*)/s))) };

async function ask(target, dashboard) {
  // A variable that can have many values has all of them.
  const many = dashboard.templating.list.filter(({ multi }) => multi).map(({ name }) => name);
  const fill = (_, name) => (many.includes(name) ? '.*' : variables[name]);
  const query = encodeURIComponent(target.expr.replace(/\$(\w+)/g, fill));
  const url = target.instant
    ? `${values.prometheus}/api/v1/query?query=${query}&time=${end}`
    : `${values.prometheus}/api/v1/query_range?query=${query}&start=${start}&end=${end}&step=${step}`;
  const answer = await (await fetch(url)).json();
  if (answer.status !== 'success') {
    throw new Error(`${target.expr}: ${answer.error}`);
  }
  return answer.data.result;
}

const bundle = await build({
  entryPoints: [new URL('draw.tsx', import.meta.url).pathname],
  bundle: true,
  write: false,
  outfile: 'draw.js',
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.svg': 'dataurl', '.woff2': 'dataurl', '.ttf': 'dataurl' },
  logLevel: 'error',
});

const folder = new URL('../dashboards/', import.meta.url);
mkdirSync(values.out, { recursive: true });
const browser = await chromium.launch({ executablePath: values.chromium, args: ['--no-sandbox'] });
let faults = 0;
for (const file of readdirSync(folder)) {
  const dashboard = JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
  const panels = await Promise.all(
    dashboard.panels.map(async (panel) => ({ ...panel, results: await Promise.all((panel.targets ?? []).map((target) => ask(target, dashboard))) }))
  );
  const rows = Math.max(...panels.map(({ gridPos: { y, h } }) => y + h));
  const page = await browser.newPage({ viewport: { width: WIDTH, height: rows * 38 + 60 } });
  page.on('pageerror', (error) => (faults++, console.error(`${file}: ${error.stack}`)));
  await page.route('**', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><div id="root"></div>' }));
  await page.goto('http://dashboards.invalid/');
  await page.evaluate((input) => (window.input = input), { ...dashboard, panels, start, end, theme: values.theme, variables });
  const [script, style] = ['.js', '.css'].map((ending) => bundle.outputFiles.find(({ path }) => path.endsWith(ending)).text);
  await page.addStyleTag({ content: style });
  await page.addScriptTag({ content: script });
  await page.waitForSelector('[data-drawn]', { state: 'attached' });
  await page.evaluate(() => new Promise((done) => setTimeout(done, 1500)));
  await page.screenshot({ path: `${values.out}/${file.replace('.json', '.png')}` });
  await page.close();
}
await browser.close();
process.exit(faults ? 1 : 0);
