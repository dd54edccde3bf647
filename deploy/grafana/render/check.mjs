// Type-checks every dashboard against @grafana/schema.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';

// In JSON an enum is its text.
const HEAD = `import type { Dashboard } from '@grafana/schema';
type Plain<T> = T extends string ? \`\${T}\` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
`;
const folder = new URL('../dashboards/', import.meta.url);
const typed = new URL('typed/', import.meta.url);
mkdirSync(typed, { recursive: true });
try {
  const files = readdirSync(folder).map((file) => {
    const text = readFileSync(new URL(file, folder), 'utf8');
    const target = new URL(file.replace('.json', '.ts'), typed);
    writeFileSync(target, `${HEAD}export const dashboard: Plain<Dashboard> = ${text};`);
    return target.pathname;
  });
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'esnext', '--moduleResolution', 'bundler'];
  execFileSync('npx', ['tsc', ...options, ...files], { stdio: 'inherit' });
  console.log(`${files.length} dashboards are as @grafana/schema has them`);
} finally {
  rmSync(typed, { recursive: true });
}
