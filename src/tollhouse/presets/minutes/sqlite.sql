-- The database of a gateway that was sold by the minute, as its runbook left it: on SQLite or Cloudflare D1.
-- For rehearsing the move to sessions (docs/how-to/move-customers-to-another-pricing.md) and for its tests.

create table users (
  id text primary key,
  email text not null unique,
  name text,
  password_hash text,
  locale text,
  plan text not null default 'free',
  stripe_customer_id text,
  created_at integer not null default (unixepoch())
);
create index idx_users_stripe_customer on users (stripe_customer_id);

create table subscriptions (
  id integer primary key autoincrement,
  user_id text not null references users (id),
  plan text not null,
  status text not null,
  stripe_subscription_id text unique,
  stripe_price_id text,
  current_period_start integer,
  current_period_end integer,
  cancel_at_period_end integer not null default 0,
  created_at integer not null default (unixepoch())
);
create index idx_subscriptions_user on subscriptions (user_id);

create table monthly_usage (
  id integer primary key autoincrement,
  user_id text not null references users (id),
  month text not null,
  minutes_included integer not null,
  total_minutes_used real not null default 0,
  created_at integer not null default (unixepoch()),
  unique (user_id, month)
);

create table session (
  token text primary key,
  user_id text not null references users (id),
  expires_at integer not null
);
create index ix_session_user on session (user_id);

insert into users (id, email, name, password_hash, locale, plan, stripe_customer_id, created_at) values
  ('user_2wq1Ada', 'ada@example.com', 'Ada Lovelace', '$2b$10$N9qo8uLOickgx2ZMRZoMyeq1Ada', 'en', 'pro', 'cus_minutes_ada', 1741000000),
  ('user_2wq2Gra', 'Grace@Example.com', 'Grace Hopper', '$2b$10$N9qo8uLOickgx2ZMRZoMyeq2Gra', 'en', 'business', 'cus_minutes_grace', 1741100000),
  ('user_2wq3Sop', 'sophie@example.fr', 'Sophie Germain', '$2b$10$N9qo8uLOickgx2ZMRZoMyeq3Sop', 'fr', 'pro', 'cus_minutes_sophie', 1742000000),
  ('user_2wq4Eva', 'evariste@example.fr', 'Évariste Galois', '$2b$10$N9qo8uLOickgx2ZMRZoMyeq4Eva', 'fr', 'free', null, 1743000000),
  ('user_2wq5Ala', 'alan@example.org', null, '$2b$10$N9qo8uLOickgx2ZMRZoMyeq5Ala', null, 'free', null, 1744000000),
  ('user_2wq6Kat', 'katherine@example.com', 'Katherine Johnson', '$2b$10$N9qo8uLOickgx2ZMRZoMyeq6Kat', 'en', 'free', 'cus_minutes_katherine', 1745000000),
  ('user_2wq7Emm', 'emmy@example.de', 'Emmy Noether', '$2b$10$N9qo8uLOickgx2ZMRZoMyeq7Emm', 'de', 'pro', 'cus_minutes_emmy', 1746000000),
  ('user_2wq8Dup', 'ADA@example.com', 'Ada, again', '$2b$10$N9qo8uLOickgx2ZMRZoMyeq8Dup', 'en', 'free', null, 1747000000),
  ('user_2wq9Bad', 'not an address', 'Test', '$2b$10$N9qo8uLOickgx2ZMRZoMyeq9Bad', null, 'free', null, 1748000000),
  ('user_2wqAEmi', 'emilie@example.fr', 'Émilie du Châtelet', null, 'fr', 'free', null, 1749000000);

insert into subscriptions
  (user_id, plan, status, stripe_subscription_id, stripe_price_id, current_period_start, current_period_end, cancel_at_period_end, created_at)
values
  ('user_2wq1Ada', 'pro', 'active', 'sub_minutes_ada', 'price_minutes_pro', 1759276800, 1761955200, 0, 1741000100),
  ('user_2wq2Gra', 'business', 'active', 'sub_minutes_grace', 'price_minutes_business', 1759708800, 1762387200, 0, 1741100100),
  ('user_2wq3Sop', 'pro', 'active', 'sub_minutes_sophie', 'price_minutes_pro', 1759968000, 1762646400, 1, 1742000100),
  ('user_2wq6Kat', 'pro', 'canceled', 'sub_minutes_katherine', 'price_minutes_pro', 1748736000, 1751328000, 0, 1745000100),
  ('user_2wq7Emm', 'pro', 'past_due', 'sub_minutes_emmy', 'price_minutes_pro', 1759795200, 1762473600, 0, 1746000100);

insert into monthly_usage (user_id, month, minutes_included, total_minutes_used) values
  ('user_2wq1Ada', '2025-08', 3000, 2871.5),
  ('user_2wq1Ada', '2025-09', 3000, 2990.25),
  ('user_2wq1Ada', '2025-10', 3000, 412.75),
  ('user_2wq2Gra', '2025-09', 15000, 9320),
  ('user_2wq2Gra', '2025-10', 15000, 1204.5),
  ('user_2wq3Sop', '2025-10', 3000, 77),
  ('user_2wq4Eva', '2025-09', 60, 60),
  ('user_2wq4Eva', '2025-10', 60, 12.5),
  ('user_2wq6Kat', '2025-06', 3000, 140),
  ('user_2wq7Emm', '2025-10', 3000, 3000),
  ('user_2wqAEmi', '2025-10', 60, 3.25);

insert into session (token, user_id, expires_at) values ('a-session-of-the-old-system', 'user_2wq1Ada', 1761955200);
