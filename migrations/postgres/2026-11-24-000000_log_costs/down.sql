ALTER TABLE request_logs DROP COLUMN cache_write_tokens;
ALTER TABLE request_logs DROP COLUMN cost_microusd;
