# sh FILE r K n0 TIMES: a table of the times in the file TIMES and n(t) = K / (1 + (K/n0 - 1) e^(-r t))
LC_ALL=C awk -v r="$1" -v K="$2" -v n0="$3" '
BEGIN { print "t,n" }
{ printf "%s,%.17g\n", $1, K / (1 + (K / n0 - 1) * exp(-r * $1)) }' "$4"
