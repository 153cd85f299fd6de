-- What both ways of committing use. A unit is free, held or booked: items.free goes down with a hold and up when it is given back.
CREATE TABLE items (
    item text PRIMARY KEY,
    free bigint NOT NULL CHECK (free >= 0)
) WITH (fillfactor = 50);

CREATE TABLE visitors (
    visitor text PRIMARY KEY,
    units bigint NOT NULL
) WITH (fillfactor = 70);

-- Deadlines are not indexed: what a hold writes most often must stay cheap, and what is overdue is found by one scan now and then.
CREATE TABLE holds (
    id uuid PRIMARY KEY,
    visitor text NOT NULL,
    item text NOT NULL,
    quantity bigint NOT NULL,
    state "char" NOT NULL,          -- h: held, b: booked, g: gone
    deadline timestamptz NOT NULL,
    seq bigint
) WITH (fillfactor = 70);

CREATE SEQUENCE bookings CACHE 1;

-- One hold. 0: refused by the limit, 1: sold out, 2: held, 3: was there before. The hot row is locked last and for the shortest time.
CREATE FUNCTION hold_one(the_id uuid, who text, what text, count bigint, most bigint, ttl_ms bigint) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO holds VALUES (the_id, who, what, count, 'h', clock_timestamp() + ttl_ms * interval '1 millisecond')
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN 3;
    END IF;
    INSERT INTO visitors VALUES (who, count)
        ON CONFLICT (visitor) DO UPDATE SET units = visitors.units + excluded.units WHERE visitors.units + excluded.units <= most;
    IF NOT FOUND THEN
        DELETE FROM holds WHERE id = the_id;
        RETURN 0;
    END IF;
    UPDATE items SET free = free - count WHERE item = what AND free >= count;
    IF NOT FOUND THEN
        UPDATE visitors SET units = units - count WHERE visitor = who;
        DELETE FROM holds WHERE id = the_id;
        RETURN 1;
    END IF;
    RETURN 2;
END $$;

-- Many holds of one item, of different visitors, in one transaction; answers like hold_one, one row each. What does not fit as a
-- whole is decided one by one.
CREATE FUNCTION hold_many(ids uuid[], who text[], what text, counts bigint[], most bigint, ttl_ms bigint)
RETURNS TABLE (hold uuid, outcome int) LANGUAGE plpgsql AS $$
DECLARE
    asked bigint := (SELECT sum(count) FROM unnest(counts) AS count);
    placed bigint;
    allowed bigint;
BEGIN
    BEGIN
        INSERT INTO holds
            SELECT id, visitor, what, count, 'h', clock_timestamp() + ttl_ms * interval '1 millisecond'
            FROM unnest(ids, who, counts) AS asking (id, visitor, count);
        GET DIAGNOSTICS placed = ROW_COUNT;
        INSERT INTO visitors SELECT visitor, count FROM unnest(who, counts) AS asking (visitor, count)
            ON CONFLICT (visitor) DO UPDATE SET units = visitors.units + excluded.units
            WHERE visitors.units + excluded.units <= most;
        GET DIAGNOSTICS allowed = ROW_COUNT;
        UPDATE items SET free = free - asked WHERE item = what AND free >= asked;
        IF FOUND AND placed = cardinality(ids) AND allowed = cardinality(ids) THEN
            RETURN QUERY SELECT id, 2 FROM unnest(ids) AS id;
            RETURN;
        END IF;
        RAISE EXCEPTION 'one by one';
    EXCEPTION WHEN unique_violation OR raise_exception THEN
        -- All of the block is undone.
        RETURN QUERY SELECT id, hold_one(id, visitor, what, count, most, ttl_ms)
            FROM unnest(ids, who, counts) AS asking (id, visitor, count);
    END;
END $$;

-- Confirms, of one or many. The number of the booking, the one it has already, or none.
CREATE FUNCTION confirm(ids uuid[], who text[]) RETURNS TABLE (hold uuid, booking bigint) LANGUAGE sql AS $$
    WITH asking AS (SELECT * FROM unnest(ids, who) AS asking (id, visitor)),
    booked AS (
        UPDATE holds SET state = 'b', seq = nextval('bookings') FROM asking
        WHERE holds.id = asking.id AND holds.visitor = asking.visitor AND state = 'h' AND deadline > clock_timestamp()
        RETURNING holds.id, holds.seq)
    SELECT id, seq FROM booked
    UNION ALL
    SELECT holds.id, holds.seq FROM holds JOIN asking USING (id)
    WHERE holds.visitor = asking.visitor AND state = 'b'
$$;

-- Gives back what is overdue.
CREATE FUNCTION reap() RETURNS void LANGUAGE sql AS $$
    WITH gone AS (
        UPDATE holds SET state = 'g' WHERE state = 'h' AND deadline <= clock_timestamp() RETURNING visitor, item, quantity),
    back AS (
        UPDATE visitors SET units = units - sums.quantity
        FROM (SELECT visitor, sum(quantity) AS quantity FROM gone GROUP BY visitor) AS sums WHERE visitors.visitor = sums.visitor)
    UPDATE items SET free = free + sums.quantity
    FROM (SELECT item, sum(quantity) AS quantity FROM gone GROUP BY item) AS sums WHERE items.item = sums.item
$$;
