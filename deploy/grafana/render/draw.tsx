// Draws the panels of one dashboard as Grafana does, in the browser.
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  createTheme,
  dateTime,
  type DataFrame,
  FieldType,
  getFieldDisplayName,
  type GrafanaTheme2,
  Registry,
  standardTransformers,
  standardTransformersRegistry,
  ThemeContext,
  toDataFrame,
  transformDataFrame,
} from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { BigValue, GlobalStyles, LegendDisplayMode, PanelChrome, TimeSeries } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { lastValueFrom } from 'rxjs';
import '@grafana/react-data-grid/lib/styles.css';
import 'uplot/dist/uPlot.min.css';

type Series = { metric: Record<string, string>; values?: Array<[number, string]>; value?: [number, string] };
type Panel = any; // its shape is what `npm run check` checks

const { panels, start, end, theme: mode, title, variables } = (window as any).input;
const theme = createTheme({ colors: { mode } });
const range = { from: dateTime(start * 1000), to: dateTime(end * 1000), raw: { from: 'now-24h', to: 'now' } };
const MARGIN = 16;
const CELL = 38;

const option = (id: string, custom = false) => ({
  id,
  path: id.replace('custom.', ''),
  name: id,
  isCustom: custom,
  process: (value: unknown) => value,
  shouldApply: () => true,
  override: () => null,
  editor: () => null,
});
const registry = new Registry<any>(() => [
  ...['unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'thresholds', 'mappings', 'links', 'color'].map((id) => option(id)),
  ...[
    ...['align', 'cellOptions', 'minWidth', 'width'],
    ...['drawStyle', 'fillOpacity', 'lineInterpolation', 'lineWidth', 'showPoints', 'spanNulls', 'stacking', 'thresholdsStyle', 'transform'],
  ].map((id) => option(`custom.${id}`, true)),
]);

function legend(format: string | undefined, metric: Record<string, string>) {
  return format?.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '') ?? JSON.stringify(metric);
}

function table(results: Series[]): DataFrame {
  const labels = [...new Set(results.flatMap(({ metric }) => Object.keys(metric)))];
  return toDataFrame({
    fields: [
      { name: 'Time', type: FieldType.time, values: results.map(({ value }) => value![0] * 1000) },
      ...labels.map((name) => ({ name, type: FieldType.string, values: results.map(({ metric }) => metric[name] ?? '') })),
      { name: 'Value', type: FieldType.number, values: results.map(({ value }) => Number(value![1])) },
    ],
  });
}

/** One frame a series, with a gap wherever Prometheus gave nothing. */
function timeseries(results: Series[], format?: string): DataFrame[] {
  return results.map(({ metric, values, value }) => {
    const points = values ?? [value!];
    const step = Math.max(1, (end - start) / 360);
    const filled = points.flatMap(([at, number], index) =>
      index > 0 && at - points[index - 1][0] > step * 1.5 ? [[points[index - 1][0] + step, null], [at, Number(number)]] : [[at, Number(number)]]
    );
    return toDataFrame({
      fields: [
        { name: 'Time', type: FieldType.time, values: filled.map(([at]) => at! * 1000) },
        {
          name: 'Value',
          type: FieldType.number,
          labels: metric,
          config: { displayNameFromDS: legend(format, metric) },
          values: filled.map(([, number]) => number),
        },
      ],
    });
  });
}

async function frames(panel: Panel): Promise<DataFrame[]> {
  const raw = panel.targets.flatMap((target: any, index: number) =>
    target.format === 'table' ? [table(panel.results[index])] : timeseries(panel.results[index], target.legendFormat)
  );
  const transformed = panel.transformations?.length ? await lastValueFrom(transformDataFrame(panel.transformations, raw)) : raw;
  const drawn = applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registry,
    replaceVariables: (text) => text.replace(/\$\{?(\w+)[^}]*\}?/g, (_, name) => variables[name] ?? ''),
    theme,
    timeZone: 'utc',
  });
  cacheFieldDisplayNames(drawn);
  return drawn;
}

function States({ data, width, height, theme }: { data: DataFrame[]; width: number; height: number; theme: GrafanaTheme2 }) {
  const name = 360;
  const row = Math.min(28, height / Math.max(1, data.length));
  const at = (time: number) => ((time / 1000 - start) / (end - start)) * (width - name);
  return (
    <div style={{ position: 'relative', height, font: `11px ${theme.typography.fontFamily}` }}>
      {data.map((frame, index) => {
        const [times, values] = frame.fields;
        return (
          <div key={index} style={{ position: 'absolute', top: index * row, height: row, width }}>
            <span style={{ position: 'absolute', right: width - name + 8, whiteSpace: 'nowrap', lineHeight: `${row}px` }}>
              {getFieldDisplayName(values, frame, data)}
            </span>
            {Array.from(values.values, (value, point) => {
              const left = at(times.values[point]);
              const right = point + 1 < times.values.length ? at(times.values[point + 1]) : width - name;
              const color = value === null ? 'transparent' : values.display!(value).color;
              const box = { left: name + left, width: right - left + 0.5, height: row * 0.8, top: row * 0.1, background: color };
              return <i key={point} style={{ position: 'absolute', ...box }} />;
            })}
          </div>
        );
      })}
    </div>
  );
}

function content(panel: Panel, data: DataFrame[], width: number, height: number): ReactNode {
  switch (panel.type) {
    case 'stat': {
      const field = data[0]?.fields[1];
      const value = field?.display!(field.values[field.values.length - 1]) ?? { text: panel.fieldConfig.defaults.noValue, numeric: NaN, color: theme.visualization.getColorByName('green') };
      return <BigValue value={value} width={width} height={height} theme={theme} {...{ colorMode: panel.options.colorMode, graphMode: 'none', justifyMode: 'auto', textMode: 'value' } as any} />;
    }
    case 'table':
      return <TableNG data={data[0]} width={width} height={height} sortBy={panel.options.sortBy} fieldConfig={panel.fieldConfig} columnMinWidth={panel.fieldConfig.defaults.custom.minWidth} cellHeight={panel.options.cellHeight} />;
    case 'timeseries':
      return data.length ? (
        <TimeSeries frames={data} width={width} height={height} timeRange={range} timeZone="utc" legend={{ ...panel.options.legend, displayMode: LegendDisplayMode.List }} />
      ) : (
        'No data'
      );
    case 'state-timeline':
      return <States data={data} width={width} height={height} theme={theme} />;
    default:
      throw new Error(`cannot draw ${panel.type}`);
  }
}

async function draw() {
  await initPluginTranslations('backupflow');
  const organize = standardTransformers.organizeFieldsTransformer;
  standardTransformersRegistry.setInit(() => [{ id: organize.id, name: organize.name, transformation: async () => organize } as any]);
  const column = (document.documentElement.clientWidth - 2 * MARGIN) / 24;
  const boxes = await Promise.all(
    panels.map(async (panel: Panel) => {
      const { x, y, w, h } = panel.gridPos;
      const style = { position: 'absolute' as const, left: MARGIN + x * column + 4, top: 50 + y * CELL, width: w * column - 8, height: h * CELL - 8 };
      if (panel.type === 'row') {
        return <h4 key={panel.id} style={style}>{panel.title}</h4>;
      }
      const data = await frames(panel);
      return (
        <div key={panel.id} style={style}>
          <PanelChrome title={panel.title} width={style.width} height={style.height} padding={panel.type === 'table' ? 'none' : 'md'}>
            {(width, height) => content(panel, data, width, height)}
          </PanelChrome>
        </div>
      );
    })
  );
  createRoot(document.getElementById('root')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <h2 style={{ margin: '10px 20px' }}>{title}</h2>
      {boxes}
      <i data-drawn />
    </ThemeContext.Provider>
  );
}

draw();
