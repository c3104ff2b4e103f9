# Prints reference values of the scores in metrics/src/survival, one `name value` a line:
#   Rscript metrics/tests/survival/reference.R $FEDTWIN_DATA/survival
# Risks are simple functions of the records, with many ties, and not a model's.
suppressMessages(library(survival))
folder <- commandArgs(trailingOnly = TRUE)[1]
say <- function(name, value) cat(name, format(value, digits = 16), "\n")
# An event comes before a censoring at the same time: R is told so by half a day.
after <- function(d) d$time + ifelse(d$event == 1, 0, 0.5)

check <- function(name, d) {
  pairs <- concordance(Surv(time, event) ~ risk, data = d, reverse = TRUE)$count
  say(paste0(name, ".concordant"), pairs[["concordant"]])
  say(paste0(name, ".discordant"), pairs[["discordant"]])
  say(paste0(name, ".tied_risk"), pairs[["tied.x"]])
  say(paste0(name, ".tied_time"), pairs[["tied.y"]] + pairs[["tied.xy"]])
  late <- d[d$time > 60, ]
  late$entry <- 20 * (late$age %% 3)
  pairs <- concordance(Surv(entry, time, event) ~ risk, data = late, reverse = TRUE)$count
  say(paste0(name, ".late_concordant"), pairs[["concordant"]])
  say(paste0(name, ".late_discordant"), pairs[["discordant"]])
  say(paste0(name, ".late_tied_risk"), pairs[["tied.x"]])
  say(paste0(name, ".uno_365"), concordance(Surv(after(d), event) ~ risk, data = d, reverse = TRUE,
    timewt = "n/G2", ymax = 364.9)$concordance)
  times <- c(100, 365, 730)
  curve <- summary(survfit(Surv(time, event) ~ 1, data = d), times = times)$surv
  delayed <- summary(survfit(Surv(entry, time, event) ~ 1, data = late), times = times)$surv
  censoring <- summary(survfit(Surv(after(d), 1 - event) ~ 1, data = d), times = times + 0.5)$surv
  for (i in seq_along(times)) {
    say(paste0(name, ".km_", times[i]), curve[i])
    say(paste0(name, ".late_km_", times[i]), delayed[i])
    say(paste0(name, ".censoring_", times[i]), censoring[i])
  }
}

lung <- read.csv(file.path(folder, "lung.csv"))
check("lung", data.frame(time = lung$time, event = lung$status - 1, age = lung$age, risk = lung$age %/% 10))
rotterdam <- read.csv(file.path(folder, "rotterdam.csv"))
check("rotterdam", data.frame(time = rotterdam$rtime, event = rotterdam$recur, age = rotterdam$age, risk = rotterdam$nodes))
