-- keys.sql - the data sets: one function each, and what the measurements have to know about them.
--
-- bench.key_NAME(i, draw, n) is the key of one row of a table of n rows. "i" is the row's place in the order of arrival,
-- 1 .. n for the rows loaded first and beyond n for those that follow; "draw" numbers the row, and is all its random
-- part depends on. A set without an order of its own uses only "draw".
--
-- A row to insert at a random place has an "i" from 1 .. n and a "draw" beyond n: a row that comes late, among
-- those that are there. Where nothing is random about a key (bigserial), it is one that exists already.
--
-- Everything is a function of the seed (psql variable "seed"). The functions are simple enough for the planner to inline.

CREATE SCHEMA bench;

-- ---- random numbers ----

CREATE FUNCTION bench.bits(draw int8, stream int) RETURNS int8 IMMUTABLE PARALLEL SAFE
	RETURN hashint8extended(draw, :seed * 1000 + stream) & 9223372036854775807;

-- Uniform in (0, 1].
CREATE FUNCTION bench.unit(draw int8, stream int) RETURNS float8 IMMUTABLE PARALLEL SAFE
	RETURN ((bench.bits(draw, stream) >> 10) + 1) / 9007199254740992.0::float8;

-- Normal(0, 1), Box-Muller.
CREATE FUNCTION bench.gauss(draw int8, stream int) RETURNS float8 IMMUTABLE PARALLEL SAFE
	RETURN sqrt(-2 * ln(bench.unit(draw, stream))) * cos(2 * pi() * bench.unit(draw, stream + 1));

-- ---- the sets ----

CREATE TABLE bench.data_set
(
	place serial,
	name text PRIMARY KEY,
	ordered bool NOT NULL,		-- rows arrive in the order of the keys: there are sequential inserts
	repeated bool NOT NULL,		-- long runs of equal keys: a probe stops at the first match
	varying bool NOT NULL		-- rows of varying width
);

INSERT INTO bench.data_set (name, ordered, repeated, varying) VALUES
	('random', false, false, false),
	('bigserial', true, false, false),
	('bigserial_varying', true, false, true),
	('lognormal', false, false, false),
	('zipf', false, true, false),
	('timestamp', true, false, false),
	('clustered', false, false, false),
	('piecewise', true, false, false),
	('distinct1000', false, true, false),
	('uuid4', false, false, false),
	('uuid7', true, false, false);

-- Uniform, 63 bits.
CREATE FUNCTION bench.key_random(i int8, draw int8, n int8) RETURNS int8 IMMUTABLE PARALLEL SAFE
	RETURN bench.bits(draw, 1);

CREATE FUNCTION bench.key_bigserial(i int8, draw int8, n int8) RETURNS int8 IMMUTABLE PARALLEL SAFE
	RETURN i;

CREATE FUNCTION bench.key_bigserial_varying(i int8, draw int8, n int8) RETURNS int8 IMMUTABLE PARALLEL SAFE
	RETURN i;

CREATE FUNCTION bench.key_lognormal(i int8, draw int8, n int8) RETURNS int8 IMMUTABLE PARALLEL SAFE
	RETURN (exp(2 * bench.gauss(draw, 1)) * 1e9::float8)::int8;

-- Ranks 1 .. 10^6 with a probability of about 1 / rank.
CREATE FUNCTION bench.key_zipf(i int8, draw int8, n int8) RETURNS int8 IMMUTABLE PARALLEL SAFE
	RETURN floor(1e6::float8 ^ bench.unit(draw, 1))::int8;

-- A row every millisecond, up to 0.4 ms late; eight hours of night at some place in every 20,000 rows.
CREATE FUNCTION bench.key_timestamp(i int8, draw int8, n int8) RETURNS timestamp IMMUTABLE PARALLEL SAFE
	RETURN timestamp '2025-01-01' + make_interval(
		hours => (8 * (i / 20000 + (i % 20000 > bench.bits(i / 20000, 1) % 20000)::int))::int,
		secs => (i * 1000 + bench.bits(draw, 2) % 400) / 1e6::float8);

-- Longitude cells of 180 latitudes around 500 cities, few of them large; 10^-7 degrees.
CREATE FUNCTION bench.key_city(city int8, draw int8) RETURNS int8 IMMUTABLE PARALLEL SAFE
	RETURN ((180 * floor(bench.unit(city, 1) * 360 - 180 + (0.02 + 0.3 * bench.unit(city, 2)) * bench.gauss(draw, 10))
		+ bench.unit(city, 3) * 140 - 60 + (0.02 + 0.3 * bench.unit(city, 2)) * bench.gauss(draw, 20)) * 1e7::float8)::int8;
CREATE FUNCTION bench.key_clustered(i int8, draw int8, n int8) RETURNS int8 IMMUTABLE PARALLEL SAFE
	RETURN bench.key_city(floor(500::float8 ^ bench.unit(draw, 30))::int8, draw);

-- Lines of n / 100 rows, one after the other. Their ten slopes come again and again; the second array has their sums.
CREATE FUNCTION bench.key_on_line(line int8, row_of_line int8, rows_of_line int8, draw int8, late bool)
RETURNS int8 IMMUTABLE PARALLEL SAFE
	RETURN rows_of_line * (119998 * (line / 10) +
			('{0,17,3217,3219,93219,93629,93630,118630,118690,118698}'::int8[])[line % 10 + 1]) +
		row_of_line * ('{17,3200,2,90000,410,1,25000,60,8,1300}'::int8[])[line % 10 + 1] +
		CASE WHEN late THEN bench.bits(draw, 1) % ('{17,3200,2,90000,410,1,25000,60,8,1300}'::int8[])[line % 10 + 1] ELSE 0 END;
CREATE FUNCTION bench.key_piecewise(i int8, draw int8, n int8) RETURNS int8 IMMUTABLE PARALLEL SAFE
	RETURN bench.key_on_line(i / (n / 100), i % (n / 100), n / 100, draw, i <= n AND draw > n);

CREATE FUNCTION bench.key_distinct1000(i int8, draw int8, n int8) RETURNS int8 IMMUTABLE PARALLEL SAFE
	RETURN bench.bits(draw, 1) % 1000;

CREATE FUNCTION bench.hex(draw int8, stream int) RETURNS text IMMUTABLE PARALLEL SAFE
	RETURN lpad(to_hex(bench.bits(draw, stream)), 16, '0');

CREATE FUNCTION bench.key_uuid4(i int8, draw int8, n int8) RETURNS uuid IMMUTABLE PARALLEL SAFE
	RETURN (right(bench.hex(draw, 1), 12) || '4' || right(bench.hex(draw, 2), 3) ||
		to_hex(8 + bench.bits(draw, 3) % 4) || right(bench.hex(draw, 4), 15))::uuid;

-- Three rows a millisecond.
CREATE FUNCTION bench.key_uuid7(i int8, draw int8, n int8) RETURNS uuid IMMUTABLE PARALLEL SAFE
	RETURN (lpad(to_hex(1740000000000 + i / 3), 12, '0') || '7' || right(bench.hex(draw, 2), 3) ||
		to_hex(8 + bench.bits(draw, 3) % 4) || right(bench.hex(draw, 4), 15))::uuid;

-- ---- tables of them ----

-- Makes the table "target" of rows "first" .. "last" in their order of arrival, or, if "late", of that many rows at random
-- places. Unlogged: the tables measured are filled from it.
CREATE PROCEDURE bench.generate(target text, set_name text, n int8, first int8, last int8, late bool)
LANGUAGE plpgsql AS $$
DECLARE
	filler text := '';
BEGIN
	-- 33 to 192 bytes and a line pointer: 60 to 75 rows a block
	IF (SELECT varying FROM bench.data_set WHERE name = set_name) THEN
		filler := ', repeat(''x'', (bench.bits(draw, 90) % 160)::int) AS filler';
	END IF;
	-- OFFSET 0 computes the place once, however often the key's function uses it
	EXECUTE format('CREATE UNLOGGED TABLE %s AS SELECT bench.key_%s(i, draw, %s) AS k%s FROM
		(SELECT %s AS i, draw FROM generate_series(%s::int8, %s) draw OFFSET 0) r', target, set_name, n, filler,
		CASE WHEN late THEN format('1 + bench.bits(draw, 91) %% %s', n) ELSE 'draw' END, first, last);
END
$$;

-- Makes the table "target" of the keys of so many random rows of "source", in random order.
CREATE PROCEDURE bench.pick(target text, source text, picked int8)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE UNLOGGED TABLE %s AS SELECT k FROM (SELECT k, row_number() OVER () AS r FROM %s) s
		ORDER BY bench.bits(r, 92) LIMIT %s', target, source, picked);
END
$$;
