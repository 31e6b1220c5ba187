"""The sections of the settings: every number and choice of a run, typed, validated, described.

One module per section; no method and no Dagster asset in any of them.
"""

from curec_assets.settings.sections.alignment import AlignmentSettings
from curec_assets.settings.sections.base import OPERATIONAL, Section
from curec_assets.settings.sections.data import DataSettings, SplitSettings
from curec_assets.settings.sections.drift import DriftSettings
from curec_assets.settings.sections.evidence import EvidenceSettings
from curec_assets.settings.sections.explanation import ExplanationSettings
from curec_assets.settings.sections.features import EncoderSettings
from curec_assets.settings.sections.language_model import (
    LanguageModelSettings,
    ServerSettings,
    TeacherSettings,
)
from curec_assets.settings.sections.policy import PolicySettings
from curec_assets.settings.sections.ranking import RankingSettings
from curec_assets.settings.sections.reasons import ReasonSettings
from curec_assets.settings.sections.recommender import RecommenderSettings
from curec_assets.settings.sections.reward import RewardSettings
from curec_assets.settings.sections.tracking import TrackingSettings

__all__ = [
    "OPERATIONAL",
    "AlignmentSettings",
    "DataSettings",
    "DriftSettings",
    "EncoderSettings",
    "EvidenceSettings",
    "ExplanationSettings",
    "LanguageModelSettings",
    "PolicySettings",
    "RankingSettings",
    "ReasonSettings",
    "RecommenderSettings",
    "RewardSettings",
    "Section",
    "ServerSettings",
    "SplitSettings",
    "TeacherSettings",
    "TrackingSettings",
]
