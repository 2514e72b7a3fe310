/** The schema of a database as text: what a reader of a migration's diff wants to see change, and nothing else. */
import { sql } from '@databases/pg'
import type { Workbench } from './fixtures.ts'

const COLUMNS = sql`
  SELECT c.relname AS of, a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
    || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END || COALESCE(' default ' || pg_get_expr(d.adbin, d.adrelid), '') AS line
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname NOT LIKE 'onceward_schema%'
  ORDER BY c.relname COLLATE "C", a.attnum`

/** Not-null constraints stand with their columns; newer servers list them as constraints, too. */
const CONSTRAINTS = sql`
  SELECT conrelid::regclass::text AS of, conname || ' ' || pg_get_constraintdef(oid) AS line
  FROM pg_constraint
  WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND conrelid::regclass::text NOT LIKE 'onceward_schema%'
  ORDER BY conrelid::regclass::text COLLATE "C", conname COLLATE "C"`

const INDICES = sql`
  SELECT tablename AS of, indexdef AS line FROM pg_indexes
  WHERE schemaname = 'public' AND tablename NOT LIKE 'onceward_schema%'
  ORDER BY tablename COLLATE "C", indexname COLLATE "C"`

const TRIGGERS = sql`
  SELECT tgrelid::regclass::text AS of, pg_get_triggerdef(oid) AS line FROM pg_trigger
  WHERE NOT tgisinternal ORDER BY tgrelid::regclass::text COLLATE "C", tgname COLLATE "C"`

const FUNCTIONS = sql`
  SELECT 'functions' AS of, proname || '(' || pg_get_function_arguments(oid) || ')' || regexp_replace(prosrc, '\\s+', ' ', 'g') AS line
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY proname COLLATE "C"`

const OPTIONS = sql`
  SELECT relname AS of, array_to_string(reloptions, ', ') AS line FROM pg_class
  WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND reloptions IS NOT NULL ORDER BY relname COLLATE "C"`

export async function schemaOf(bench: Pick<Workbench, 'query'>): Promise<string> {
  const parts = new Map<string, string[]>()
  for (const statement of [COLUMNS, CONSTRAINTS, INDICES, TRIGGERS, OPTIONS, FUNCTIONS]) {
    for (const row of await bench.query(statement)) {
      const of = row['of'] as string
      parts.set(of, [...(parts.get(of) ?? []), `  ${row['line'] as string}`])
    }
  }
  return [...parts].map(([of, lines]) => `${of}\n${lines.join('\n')}\n`).join('\n')
}
