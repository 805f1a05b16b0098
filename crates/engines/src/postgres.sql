-- A log in tables: the newest id in one row, the events in partitions.
create schema if not exists waiting;

create table if not exists waiting.log (
    one boolean primary key default true check (one),
    epoch text not null,
    last bigint not null default 0
);

create table if not exists waiting.events (
    id bigint primary key,
    at timestamptz not null default clock_timestamp(),
    -- As the contract has it: whoever publishes another from here is told at once.
    kind text not null check (kind ~ '^[a-z][a-z0-9-]{0,31}$'),
    data json not null
) partition by range (id);

create table if not exists waiting.keys (
    key text primary key,
    id bigint not null
);

-- An older publish, which named no log: what a function returns cannot be changed.
do $$ begin
    if exists (
        select from pg_proc
        where oid = to_regprocedure('waiting.publish(text, json, text)')
          and not 'epoch' = any(proargnames)
    ) then
        drop function waiting.publish(text, json, text);
    end if;
end $$;

-- ANCHOR: publish
-- Publishes within the transaction that calls it. Whoever comes second waits here until
-- the first has committed, so ids become visible in their order, and none is missing.
create or replace function waiting.publish(
    kind text, data json, key text default null,
    out epoch text, out id bigint, out repeated boolean
) language plpgsql as $$
begin
    select log.epoch into epoch from waiting.log for update;
    select keys.id into id from waiting.keys where keys.key = publish.key;
    repeated := id is not null;
    if repeated then
        return;
    end if;
    update waiting.log set last = last + 1 returning last into publish.id;
    insert into waiting.events (id, kind, data) values (publish.id, kind, data);
    if key is not null then
        insert into waiting.keys (key, id) values (publish.key, publish.id);
    end if;
    -- Delivered when this transaction commits, and only then.
    perform pg_notify('waiting', '');
end $$;
-- ANCHOR_END: publish

-- Makes the partitions that are needed next, and drops those of which nothing is kept.
create or replace function waiting.maintain(size bigint, kept bigint)
returns void language plpgsql as $$
declare
    last bigint;
    part bigint;
    name text;
begin
    -- One server at a time, and the others need not wait for it.
    if not pg_try_advisory_xact_lock(hashtext('waiting.maintain')) then
        return;
    end if;
    select log.last into last from waiting.log;
    for part in select generate_series(last / size, last / size + 2) loop
        name := 'events_' || part;
        if to_regclass('waiting.' || name) is null then
            -- Attached, since `partition of` would lock out those who read.
            execute format(
                'create table waiting.%I (like waiting.events including all)', name);
            execute format(
                'alter table waiting.events attach partition waiting.%I
                 for values from (%s) to (%s)', name, part * size, (part + 1) * size);
        end if;
    end loop;
    for name in
        select relname from pg_inherits
        join pg_class on pg_class.oid = inhrelid
        where inhparent = 'waiting.events'::regclass
          and split_part(relname, '_', 2)::bigint < (last - kept) / size
    loop
        execute format('drop table waiting.%I', name);
    end loop;
    delete from waiting.keys where id <= last - kept;
end $$;
