//! The Lua scripts: every decision that must not be torn is made inside the server.
//! Layer: core
//!
//! Each begins with the sentinel: a server that lost its data answers `LOST` and changes nothing.

/// Counts one record.
///
/// Keys: sentinel, lane, applied, counter, dirty. Arguments: sentinel, generation, offset, floor,
/// member, then field and amount of each counter.
///
/// | answer | meaning |
/// | --- | --- |
/// | `OK` | counted now |
/// | `SEEN` | this record was counted before |
/// | `OLD` | a newer generation has counted here |
/// | `MISSING` | the counter has to be seeded from its document first |
/// | `OVERFLOW:field` | the field would leave 64 bits; nothing was counted |
/// | `LOST` | the sentinel is missing or another one |
pub(super) const COUNT: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'LOST' end
local generation, offset, floor = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lane = redis.call('HMGET', KEYS[2], 'g', 'f')
local known, applied = tonumber(lane[1] or -1), tonumber(lane[2] or 0)
if known > generation then return 'OLD' end
if known < generation then
  -- What an older generation applied says nothing about this one's offsets.
  redis.call('DEL', KEYS[3])
  redis.call('HSET', KEYS[2], 'g', ARGV[2], 'f', ARGV[4])
  applied = floor
elseif applied < floor then
  redis.call('HSET', KEYS[2], 'f', ARGV[4])
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(' .. ARGV[4])
  applied = floor
end
if offset < applied or redis.call('ZSCORE', KEYS[3], ARGV[3]) then return 'SEEN' end
if redis.call('EXISTS', KEYS[4]) == 0 then return 'MISSING' end
for at = 6, #ARGV, 2 do
  local sum = redis.pcall('HINCRBY', KEYS[4], ARGV[at], ARGV[at + 1])
  if type(sum) == 'table' and sum.err then
    for back = 6, at - 2, 2 do
      local amount = ARGV[back + 1]
      local inverse = string.sub(amount, 1, 1) == '-' and string.sub(amount, 2) or '-' .. amount
      redis.call('HINCRBY', KEYS[4], ARGV[back], inverse)
    end
    if string.find(sum.err, 'overflow', 1, true) then return 'OVERFLOW:' .. ARGV[at] end
    return sum
  end
end
redis.call('HINCRBY', KEYS[4], '', 1)
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[3])
if redis.call('SADD', KEYS[5], ARGV[5]) == 1 then redis.call('PERSIST', KEYS[4]) end
return 'OK'
";

/// Creates a counter from its document, unless somebody has.
///
/// Keys: sentinel, counter. Arguments: sentinel, milliseconds to live, version, then field and
/// value of each counter. Answers `OK`, `SEEN` or `LOST`.
pub(super) const SEED: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'LOST' end
if redis.call('EXISTS', KEYS[2]) == 1 then return 'SEEN' end
redis.call('HSET', KEYS[2], '', ARGV[3])
for at = 4, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1]) end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 'OK'
";

/// Reads counters until so many bytes are read, at least one.
///
/// Keys: counters. Argument: bytes. Answers one list of fields and values for each counter read; it
/// is empty where there is none.
pub(super) const READ: &str = r"
local left, found = tonumber(ARGV[1]), {}
for at, key in ipairs(KEYS) do
  local fields = redis.call('HGETALL', key)
  for _, text in ipairs(fields) do left = left - #text end
  if left < 0 and at > 1 then break end
  found[at] = fields
end
return found
";

/// Takes the dirty mark off the counters that are still at the version that was flushed.
///
/// Keys: dirty, then counters. Arguments: member, version and milliseconds to live of each counter.
/// Answers how many are clean now. A counter that is gone has nothing left to flush.
pub(super) const CLEAR: &str = r"
local cleared = 0
for at = 2, #KEYS do
  local member, version, lifetime = unpack(ARGV, at * 3 - 5, at * 3 - 3)
  local now = redis.call('HGET', KEYS[at], '')
  if not now or now == version then
    redis.call('SREM', KEYS[1], member)
    redis.call('PEXPIRE', KEYS[at], lifetime)
    cleared = cleared + 1
  end
end
return cleared
";

/// Adds a member to the set of a window.
///
/// Keys: sentinel, set. Arguments: sentinel, member, end of the window and margin in milliseconds.
/// Answers `NEW`, `SEEN` or `LOST`. The set expires a margin after its window or its last touch,
/// whichever is later: a backlog is not forgotten while it is worked on. The expiry moves only when
/// half of the margin is used up, so that most touches write nothing.
pub(super) const UNIQUE: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'LOST' end
local added = redis.call('SADD', KEYS[2], ARGV[2])
local time, margin = redis.call('TIME'), tonumber(ARGV[4])
local now = time[1] * 1000
local lifetime = math.max(tonumber(ARGV[3]), now) - now + margin
if redis.call('PTTL', KEYS[2]) < lifetime - margin / 2 then
  redis.call('PEXPIRE', KEYS[2], string.format('%.0f', lifetime))
end
return added == 1 and 'NEW' or 'SEEN'
";

/// Answers the sentinel, which is the argument when there was none.
pub(super) const SENTINEL: &str = r"
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
";

/// What a script that changes something answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Changed now.
    Done,
    /// Nothing to do: somebody, perhaps this very record, had done it.
    Seen,
    /// A newer generation is at work.
    Old,
    /// The counter has to be seeded.
    Missing,
    /// A counter would leave its range.
    Overflow(String),
    /// The server lost its data.
    Lost,
}

impl Answer {
    /// Reads an answer; `None` is no answer of our scripts.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "OK" | "NEW" => Self::Done,
            "SEEN" => Self::Seen,
            "OLD" => Self::Old,
            "MISSING" => Self::Missing,
            "LOST" => Self::Lost,
            other => Self::Overflow(other.strip_prefix("OVERFLOW:")?.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_of_the_scripts_is_read() {
        for script in [COUNT, SEED, UNIQUE] {
            let answers = script.split("'").filter(|text| {
                text.len() > 1 && text.chars().all(|c| c.is_ascii_uppercase() || c == ':')
            });
            let commands = [
                "GET",
                "HMGET",
                "DEL",
                "HSET",
                "ZREMRANGEBYSCORE",
                "ZSCORE",
                "EXISTS",
                "HINCRBY",
                "ZADD",
                "SADD",
                "PERSIST",
                "PEXPIRE",
                "TIME",
                "PTTL",
            ];
            for answer in answers.filter(|text| !commands.contains(text)) {
                let whole = format!("{answer}{}", if answer.ends_with(':') { "f" } else { "" });
                assert!(Answer::parse(&whole).is_some(), "{whole}");
            }
        }
        assert_eq!(
            Answer::parse("OVERFLOW:a.b"),
            Some(Answer::Overflow("a.b".into()))
        );
        assert_eq!(Answer::parse("PONG"), None);
    }
}
