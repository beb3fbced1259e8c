"""One error tree for everything that Willis can refuse or fail at.

::

    WillisError
    ├── InputError                     the study can't be analysed as it is; retrying won't help
    │   ├── DecodingError              pixel data that no decoder could read
    │   ├── GeometryError              the images don't make one volume
    │   │   ├── MissingSlices
    │   │   ├── DuplicateSlices
    │   │   ├── MixedOrientations
    │   │   └── TooFewSlices
    │   ├── UnsuitableSeries           the images are not what the pipeline needs
    │   │   ├── NoSuitableSeries
    │   │   ├── ColourPixels
    │   │   ├── LossyPixels
    │   │   ├── WrongModality
    │   │   ├── NotAHead
    │   │   ├── ContrastGiven
    │   │   └── PatientTooYoung
    │   ├── PerfusionError             the contrast's passage can't be measured
    │   │   ├── ScanTooShort
    │   │   ├── SamplingTooCoarse
    │   │   ├── NoBolus
    │   │   ├── BolusTruncated
    │   │   ├── TooMuchMotion
    │   │   └── NoVessel
    │   └── AnatomyError               the anatomy can't be found well enough to score
    │       ├── BrainNotPlausible
    │       └── RegistrationFailed
    ├── BundleError                    a model bundle is damaged or does not fit
    │   ├── ManifestInvalid
    │   ├── DigestMismatch
    │   ├── GoldenMismatch
    │   ├── SignatureMissing
    │   ├── SignatureInvalid
    │   ├── SignerNotTrusted
    │   └── TrustedKeysInvalid
    ├── ResultError                    a result failed its own check and must not leave
    │   └── RoundTripMismatch
    ├── RequestError                   the caller asked for something that does not exist
    │   ├── UnknownPipeline
    │   ├── UnknownModel
    │   ├── ModelConflict
    │   ├── UnknownStudy
    │   ├── UnknownObject
    │   ├── UnknownJob
    │   ├── UnknownDelivery
    │   ├── UnknownRequester
    │   ├── NotReady
    │   ├── ResultRetracted
    │   ├── DeliveryConflict
    │   ├── NotFailed
    │   ├── BadOption
    │   ├── BadUpload
    │   └── UploadTooLarge
    └── ServiceError                   this installation can't do it now; retrying may help
        ├── StorageFull
        ├── BrokerUnavailable
        ├── DatabaseUnavailable
        ├── QueueTooLong
        ├── DeadlineExceeded
        ├── WorkerLost
        ├── NoResultInTime
        ├── StudyNotRouted
        ├── DestinationUnreachable
        └── DestinationRefused

Each leaf has a stable ``code`` (part of the REST and DICOM contract) and says whether it is
``retryable``. Anything raised outside the tree is a bug and crashes.
"""

from __future__ import annotations

from typing import ClassVar


class WillisError(Exception):
    """Root of the tree. ``str(error)`` says what happened and what to do; it names no patient.

    An error that a quality item raises has the item's code in place of its class's.
    """

    code: str = "WILLIS_ERROR"
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """The sentence for the reader."""
        return str(self)


class InputError(WillisError):
    """The study can't be analysed as it is."""

    code = "INPUT_ERROR"


class DecodingError(InputError):
    """Pixel data that no decoder could read, or a file that is not DICOM or NIfTI."""

    code = "DECODING_FAILED"


class GeometryError(InputError):
    """The images don't make one volume."""

    code = "GEOMETRY_ERROR"


class MissingSlices(GeometryError):
    """There is a gap in the stack larger than its own slice step explains."""

    code = "MISSING_SLICES"


class DuplicateSlices(GeometryError):
    """Two different images lie at the same position."""

    code = "DUPLICATE_SLICES"


class MixedOrientations(GeometryError):
    """The images of the series don't share one orientation, pixel spacing or matrix."""

    code = "MIXED_ORIENTATIONS"


class TooFewSlices(GeometryError):
    """Fewer slices than the pipeline can work with."""

    code = "TOO_FEW_SLICES"


class UnsuitableSeries(InputError):
    """The images are readable, but not what the pipeline needs."""

    code = "UNSUITABLE_SERIES"


class NoSuitableSeries(UnsuitableSeries):
    """No series of the study fits; each was set aside with a reason."""

    code = "NO_SUITABLE_SERIES"


class ColourPixels(UnsuitableSeries):
    """Colour images: not a measured quantity."""

    code = "COLOUR_PIXELS"


class LossyPixels(UnsuitableSeries):
    """Lossy compression was applied: subtle density differences can't be trusted."""

    code = "LOSSY_PIXELS"


class WrongModality(UnsuitableSeries):
    """Another modality than the pipeline reads."""

    code = "WRONG_MODALITY"


class NotAHead(UnsuitableSeries):
    """The examined body part is not the head."""

    code = "NOT_A_HEAD"


class ContrastGiven(UnsuitableSeries):
    """Contrast agent is present where the pipeline needs a non-contrast study."""

    code = "CONTRAST_GIVEN"


class PatientTooYoung(UnsuitableSeries):
    """The patient is under 18 years of age."""

    code = "PATIENT_UNDER_18"


class PerfusionError(InputError):
    """The contrast agent's passage can't be measured."""

    code = "PERFUSION_ERROR"


class ScanTooShort(PerfusionError):
    """The scan ends too soon after the contrast agent's arrival."""

    code = "SCAN_TOO_SHORT"


class SamplingTooCoarse(PerfusionError):
    """Too much time between two images of a slice."""

    code = "SAMPLING_TOO_COARSE"


class NoBolus(PerfusionError):
    """No passage of contrast agent is seen, or too weak a one."""

    code = "NO_BOLUS"


class BolusTruncated(PerfusionError):
    """The scan ends before the arterial bolus has passed."""

    code = "BOLUS_TRUNCATED"


class TooMuchMotion(PerfusionError):
    """The head moved further than can be corrected."""

    code = "TOO_MUCH_MOTION"


class NoVessel(PerfusionError):
    """No artery or vein fit to be measured was found, or none at the given place."""

    code = "NO_VESSEL"


class AnatomyError(InputError):
    """The anatomy can't be found well enough to score."""

    code = "ANATOMY_ERROR"


class BrainNotPlausible(AnatomyError):
    """What was found inside the skull is not a plausible brain."""

    code = "BRAIN_NOT_PLAUSIBLE"


class RegistrationFailed(AnatomyError):
    """The head could not be aligned with the template."""

    code = "REGISTRATION_FAILED"


class BundleError(WillisError):
    """A model bundle is damaged or does not fit."""

    code = "BUNDLE_ERROR"


class ManifestInvalid(BundleError):
    """The manifest has an unknown, missing or contradictory key."""

    code = "MANIFEST_INVALID"


class DigestMismatch(BundleError):
    """A file of the bundle is not the one that the manifest names."""

    code = "DIGEST_MISMATCH"


class GoldenMismatch(BundleError):
    """The network does not reproduce its golden vectors on this machine."""

    code = "GOLDEN_MISMATCH"


class SignatureMissing(BundleError):
    """The bundle is not signed, and only signed bundles are run here."""

    code = "SIGNATURE_MISSING"


class SignatureInvalid(BundleError):
    """The bundle's signature does not hold for the files that are there."""

    code = "SIGNATURE_INVALID"


class SignerNotTrusted(BundleError):
    """The bundle is signed with a key that this installation does not trust."""

    code = "SIGNER_NOT_TRUSTED"


class TrustedKeysInvalid(BundleError):
    """The file of trusted keys can't be read."""

    code = "TRUSTED_KEYS_INVALID"


class ResultError(WillisError):
    """A result failed its own check and must not leave."""

    code = "RESULT_ERROR"


class RoundTripMismatch(ResultError):
    """A written object, read again, does not agree with the result in memory."""

    code = "ROUND_TRIP_MISMATCH"


class RequestError(WillisError):
    """The caller asked for something that does not exist or can't be had."""

    code = "REQUEST_ERROR"


class UnknownPipeline(RequestError):
    """No pipeline has this name."""

    code = "UNKNOWN_PIPELINE"


class UnknownModel(RequestError):
    """No bundle of the pipeline has this version here."""

    code = "UNKNOWN_MODEL"


class ModelConflict(RequestError):
    """The version is live already, or there is none to go back to."""

    code = "MODEL_CONFLICT"


class UnknownStudy(RequestError):
    """No instance of this study was received."""

    code = "UNKNOWN_STUDY"


class UnknownObject(RequestError):
    """No such series, instance or frame is held."""

    code = "UNKNOWN_OBJECT"


class UnknownJob(RequestError):
    """No job has this identifier."""

    code = "UNKNOWN_JOB"


class UnknownDelivery(RequestError):
    """No delivery has this identifier."""

    code = "UNKNOWN_DELIVERY"


class UnknownRequester(RequestError):
    """A peer asks for storage commitment, and no address is configured to report to."""

    code = "UNKNOWN_REQUESTER"


class NotReady(RequestError):
    """The job has not ended, or ended without this result."""

    code = "RESULT_NOT_READY"


class ResultRetracted(RequestError):
    """The result was withdrawn by a person: nobody may act on it."""

    code = "RESULT_RETRACTED"


class DeliveryConflict(RequestError):
    """The delivery is in a state that does not allow it."""

    code = "DELIVERY_CONFLICT"


class NotFailed(RequestError):
    """Only a failed job that no later one replaces can be tried again."""

    code = "JOB_NOT_FAILED"


class BadOption(RequestError):
    """An option of a pipeline that it does not know, or with a value that does not fit."""

    code = "BAD_OPTION"


class BadUpload(RequestError):
    """The upload holds nothing that can be analysed."""

    code = "BAD_UPLOAD"


class UploadTooLarge(RequestError):
    """The upload is larger than this installation accepts."""

    code = "UPLOAD_TOO_LARGE"


class ServiceError(WillisError):
    """This installation can't do it now."""

    code = "SERVICE_ERROR"
    retryable = True


class StorageFull(ServiceError):
    """Too little space is left to accept data safely."""

    code = "STORAGE_FULL"


class BrokerUnavailable(ServiceError):
    """The queue can't be reached."""

    code = "BROKER_UNAVAILABLE"


class DatabaseUnavailable(ServiceError):
    """The database does not answer, or is held by somebody else for too long."""

    code = "DATABASE_UNAVAILABLE"


class QueueTooLong(ServiceError):
    """More work waits than can be done in time: what comes now would come too late."""

    code = "QUEUE_TOO_LONG"

    def __init__(self, message: str, retry_after_s: int = 30) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(ServiceError):
    """A step took longer than it may."""

    code = "DEADLINE_EXCEEDED"


class WorkerLost(ServiceError):
    """The analysis ended its worker process more often than it may be tried."""

    code = "WORKER_LOST"
    retryable = False


class NoResultInTime(ServiceError):
    """The study has no result yet, after the time within which each study has one."""

    code = "NO_RESULT_IN_TIME"
    retryable = False


class StudyNotRouted(ServiceError):
    """The study was received and no analysis could be ordered for it."""

    code = "STUDY_NOT_ROUTED"
    retryable = False


class DestinationUnreachable(ServiceError):
    """A receiver of results did not answer, or is too busy now."""

    code = "DESTINATION_UNREACHABLE"


class DestinationRefused(ServiceError):
    """A receiver of results said no; sending the same again won't help."""

    code = "DESTINATION_REFUSED"
    retryable = False
