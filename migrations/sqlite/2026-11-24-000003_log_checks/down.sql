PRAGMA writable_schema = ON;
UPDATE sqlite_schema
SET sql = replace(sql, 'CHECK (outcome = ''complete'' OR outcome = ''failed'' OR outcome = ''cancelled'')', 'CHECK (outcome IN (''complete'', ''failed'', ''cancelled''))')
WHERE type = 'table' AND name = 'request_logs';
PRAGMA writable_schema = OFF;

CREATE TABLE request_logs_redefined (id INTEGER);
DROP TABLE request_logs_redefined;
