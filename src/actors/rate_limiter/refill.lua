-- Takes up to ARGV[3] tokens of a bucket that holds ARGV[2] and gets ARGV[1] a second.
-- Kept as "<millionths of a token> <microsecond of that level>"; a bucket that is missing is full.
-- Gives the tokens taken and the millionths of a token that are left.
local rate, burst, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local full = burst * 1000000
local level, at = full, now
-- Whatever else is stored there by mistake is written over.
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'string' then
  local stored_level, stored_at = string.match(stored, '^(%d+) (%d+)$')
  if stored_level then
    level, at = tonumber(stored_level), tonumber(stored_at)
  end
end
-- A clock that was set back fills nothing, and does not stop the bucket from filling either.
level = math.min(full, level + math.max(0, now - at) * rate)
local granted = math.min(want, math.floor(level / 1000000))
level = level - granted * 1000000
-- A second later than it is full again: then it may as well be missing.
local keep = math.ceil((full - level) / rate / 1000) + 1000
redis.call('SET', KEYS[1], string.format('%.0f %.0f', level, now), 'PX', string.format('%.0f', keep))
return {granted, level}
