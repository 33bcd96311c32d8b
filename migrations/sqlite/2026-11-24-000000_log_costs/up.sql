ALTER TABLE request_logs ADD COLUMN cost_microusd INTEGER;
ALTER TABLE request_logs ADD COLUMN cache_write_tokens INTEGER;
