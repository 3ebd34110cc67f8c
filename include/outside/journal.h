/* Log lines to systemd's journal with their fields: JOB_ID=, ATTEMPT=, STEP=, FAILURE=. */
#ifndef OUTSIDE_JOURNAL_H
#define OUTSIDE_JOURNAL_H

/* Makes the journal the log's sink if standard error is connected to it (systemd.exec(5),
 * $JOURNAL_STREAM); otherwise nothing changes. */
void journal_use_if_there(void);

#endif
