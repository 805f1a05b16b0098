//! What the log refuses, as the problems of the contract.

use crate::{FutureCursor, PublishError, ReadError};
use contract::Problem;

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Gap(gap) => Self::gap(gap),
            ReadError::Future { asked, latest } => Self::future_cursor(asked, latest),
            ReadError::Unavailable => Self::unavailable(),
        }
    }
}

impl From<FutureCursor> for Problem {
    fn from(error: FutureCursor) -> Self {
        Self::from(ReadError::from(error))
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::TooLarge { .. } => Self::too_large(error),
            PublishError::KeyReused => Self::key_reused(),
            PublishError::Finished => Self::finished(),
            PublishError::Unavailable => Self::unavailable(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Gap, GapReason, ProblemKind};

    #[test]
    fn every_error_of_the_log_has_its_problem() {
        let (asked, latest) =
            ("k3f9x2.9".parse().unwrap(), "k3f9x2.3".parse().unwrap());
        let gap = Gap {
            reason: GapReason::NewLog,
            asked: Some(asked),
            resume: latest,
        };
        let too_large = PublishError::TooLarge { bytes: 2, limit: 1 };
        for (problem, kind) in [
            (
                Problem::from(FutureCursor { asked, latest }),
                ProblemKind::FutureCursor,
            ),
            (ReadError::Gap(gap).into(), ProblemKind::NewLog),
            (too_large.into(), ProblemKind::TooLarge),
            (PublishError::KeyReused.into(), ProblemKind::KeyReused),
            (PublishError::Finished.into(), ProblemKind::Finished),
            (PublishError::Unavailable.into(), ProblemKind::Unavailable),
            (ReadError::Unavailable.into(), ProblemKind::Unavailable),
        ] {
            assert_eq!(problem.kind(), Some(kind));
        }
    }
}
