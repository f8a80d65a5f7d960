# Logistic growth, one call a draw (answer: table): Rscript call.R TIMES OUT
# The parameters are in params.json in the working folder; TIMES is a file with a time on each line.
# It needs the package jsonlite.

# ---- your model: replace this function ----
# A list with a vector for each observable, one value for each time; p is a list of the parameters.
simulate <- function(p, times) {
  if (p[["x0"]] <= 0) stop("x0 must be positive")    # any error makes this one draw fail
  list(x = with(p, K / (1 + (K / x0 - 1) * exp(-r * times))))
}
# ---- end of your model ----

if (!requireNamespace("jsonlite", quietly = TRUE)) {
  message('call.R needs the package jsonlite: in R, install.packages("jsonlite")')
  quit(status = 1)
}

arguments <- commandArgs(trailingOnly = TRUE)
p <- jsonlite::read_json("params.json", simplifyVector = TRUE)
times <- scan(arguments[1], quiet = TRUE)
table <- data.frame(t = times, simulate(p, times))
write.csv(table, arguments[2], row.names = FALSE, quote = FALSE)
