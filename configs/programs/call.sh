#!/bin/sh
# Logistic growth, one call a draw (answer: table): sh call.sh TIMES r K x0
# TIMES is a file with a time on each line. The table goes to stdout, what went wrong to stderr.
[ $# -eq 4 ] || { echo "usage: call.sh TIMES r K x0" >&2; exit 2; }

# ---- your model: replace this program, or call your own here ----
LC_ALL=C awk -v r="$2" -v K="$3" -v x0="$4" '
BEGIN {
    if (x0 <= 0) {
        print "x0 must be positive" | "cat 1>&2"    # an exit code that is not 0: the draw fails
        exit 1
    }
    print "t,x"
}
{
    printf "%s,%.17g\n", $1, K / (1 + (K / x0 - 1) * exp(-r * $1))
}' "$1"
# ---- end of your model ----
