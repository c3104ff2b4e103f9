# Prints the values of tests/reference/survival.rs, one `name value` a line:
#   Rscript statistics/tests/reference/reference.R $FEDTWIN_DATA/survival
suppressMessages(library(survival))
folder <- commandArgs(trailingOnly = TRUE)[1]
say <- function(name, value) cat(name, format(value, digits = 16), "\n")
lung <- read.csv(file.path(folder, "lung.csv"))
lung$event <- lung$status - 1
for (type in c("plain", "log-log")) {
  curve <- summary(survfit(Surv(time, event) ~ 1, data = lung, conf.type = type), times = c(100, 365, 730))
  say(paste0("km.", type, ".error"), curve$std.err)
  say(paste0("km.", type, ".low"), curve$lower)
  say(paste0("km.", type, ".high"), curve$upper)
}
test <- survdiff(Surv(time, event) ~ sex, data = lung)
say("sex.chi_square", test$chisq)
say("sex.expected", test$exp)
say("sex_by_inst.chi_square", survdiff(Surv(time, event) ~ sex + strata(inst), data = lung)$chisq)
test <- survdiff(Surv(time, event) ~ ph.ecog, data = lung[lung$ph.ecog < 3, ])
say("ecog.chi_square", test$chisq)
say("ecog.p", pchisq(test$chisq, 2, lower.tail = FALSE))
show <- function(name, fit) {
  say(paste0(name, ".coef"), coef(fit))
  say(paste0(name, ".se"), sqrt(diag(vcov(fit))))
  say(paste0(name, ".loglik"), fit$loglik)
}
control <- coxph.control(eps = 1e-13, iter.max = 50)
show("efron_by_inst", coxph(Surv(time, event) ~ age + sex + ph.ecog + strata(inst), data = lung, control = control))
late <- lung[lung$time > 60, ]
late$entry <- 20 * (late$age %% 3)
show("late", coxph(Surv(entry, time, event) ~ age + sex + ph.ecog, data = late, control = control))
