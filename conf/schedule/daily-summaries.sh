#!/usr/bin/env bash
# daily-summaries.sh [YYYY-MM-DD] [options of rollcall generate] [-- spark-submit options]
#
# Answers the prompts of one day, yesterday's unless a date is given: INPUT/date=YYYY-MM-DD into
# OUTPUT/date=YYYY-MM-DD, tables of the day's own. Calling it again for a day answers only ids that the
# day lacks, so a scheduler may retry, and documents that arrive late are picked up by a later call.
#
#   INPUT, OUTPUT     folders on any Hadoop file system (/data/documents, /data/summaries)
#   MODE              resume; overwrite answers a day anew, when its documents have changed
#   NO_INPUT_STATUS   exit status of a day without documents (0)
#   ROLLCALL          the launcher (jobs/bin/rollcall of this checkout)
#   LOCKS             where locks are kept, on this host (/tmp)
#   TZ                whose yesterday it is
#
# Exit status: 0 the day is done, 2 wrong usage, 75 another call for the day is running here, else it
# failed and may be tried again.
set -euo pipefail

say() { echo "daily-summaries: $*" >&2; }

# at noon, since midnight is missing on some days
day=$(date -d 'yesterday 12:00' +%F)
if (($#)) && [[ $1 != -* ]]; then
  day=$1
  shift
fi
if [[ $(date -d "$day" +%F 2>/dev/null) != "$day" ]]; then
  say "'$day' is not a day; give YYYY-MM-DD"
  exit 2
fi
input=${INPUT:-/data/documents}/date=$day
output=${OUTPUT:-/data/summaries}/date=$day
rollcall=${ROLLCALL:-$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)/jobs/bin/rollcall}

# Two runs at a time would both find an id missing and both add it. The driver inherits the lock: it
# holds for as long as the run lasts, even if this script is killed alone.
exec 9>>"${LOCKS:-/tmp}/rollcall-$(cksum <<<"$output" | cut -d' ' -f1)-$day.lock"
if ! flock --nonblock 9; then
  say "$day: another run into '$output' is not over yet"
  exit 75
fi

messages=$(mktemp)
trap 'rm -f "$messages"' EXIT
status=0
{
  "$rollcall" generate --input "$input" --output "$output" --mode "${MODE:-resume}" "$@" \
    2>&1 >&3 3>&- | tee "$messages" >&2 3>&-
} 3>&1 || status=$?

# Rollcall tells an input that is not there from one that it cannot reach, which is a failure.
if ((status == 1)) && grep -qF -e "input '$input' does not exist" -e "input '$input' holds no files" \
  -e "input '$input' has no rows" "$messages"; then
  say "$day: no documents in '$input', nothing to do"
  exit "${NO_INPUT_STATUS:-0}"
fi
((status == 0)) || say "$day: failed with status $status"
exit "$status"
