/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is said of each cause: one table of sentences and cures, the facts filled in.
 *
 * The reader has the journal before him at night and nothing else: the sentence says what was seen,
 * with names, dates and numbers; the cure says what to do, and on which side.
 *
 * Pure. core/diagnosis.c finds the cause, and alone uses this.
 */

#include "core/diagnosis.h"

/* Fills in sentence and cure for diagnosis->cause. */
void diagnosis_describe(const struct attempt *attempt, struct diagnosis *diagnosis);
