-- plans_report.sql - the judgements as tables of Markdown.

\echo
\echo '| random_page_cost | query | choices | misjudged: nbtree | alex | mean loss: nbtree | alex | greatest: nbtree | alex |'
\echo '|---|---|--:|--:|--:|--:|--:|--:|--:|'
SELECT format('| %s | %s | %s | %s | %s | %s | %s | %s | %s |', page_cost, coalesce(query, '**all**'), count(*) / 2,
			  count(*) FILTER (WHERE misjudged AND system = 'btree'), count(*) FILTER (WHERE misjudged AND system = 'alex'),
			  round(exp(avg(ln(loss)) FILTER (WHERE system = 'btree'))::numeric, 2), round(exp(avg(ln(loss)) FILTER (WHERE system = 'alex'))::numeric, 2),
			  round(max(loss) FILTER (WHERE system = 'btree')::numeric, 1), round(max(loss) FILTER (WHERE system = 'alex')::numeric, 1))
FROM plans.judged GROUP BY page_cost, ROLLUP (query) ORDER BY page_cost DESC, query NULLS LAST;
\echo
\echo 'The greatest losses of alex:'
\echo
\echo '| random_page_cost | query | keys | rows | part | taken | ms | faster | ms | loss |'
\echo '|---|---|---|--:|--:|---|--:|---|--:|--:|'
SELECT format('| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |', page_cost, query, keys, rows, part, way, round(ms::numeric, 2), best_way,
			  round(best_ms::numeric, 2), round(loss::numeric, 1))
FROM plans.judged WHERE system = 'alex' AND misjudged ORDER BY loss DESC LIMIT 15;
