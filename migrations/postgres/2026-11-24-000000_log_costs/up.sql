ALTER TABLE request_logs ADD COLUMN cost_microusd BIGINT;
ALTER TABLE request_logs ADD COLUMN cache_write_tokens BIGINT;
