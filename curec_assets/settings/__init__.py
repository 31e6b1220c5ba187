"""Every number and choice of a run: sections, profiles, loading, and the launchpad's form."""

from curec_assets.settings.launchpad import Settings
from curec_assets.settings.loading import PROFILE_NAMES, PROFILES, Profile, load_profile, resolved
from curec_assets.settings.sections import (
    AlignmentSettings,
    DataSettings,
    DriftSettings,
    EncoderSettings,
    EvidenceSettings,
    ExplanationSettings,
    LanguageModelSettings,
    PolicySettings,
    RankingSettings,
    ReasonSettings,
    RecommenderSettings,
    RewardSettings,
    Section,
    ServerSettings,
    SplitSettings,
    TeacherSettings,
    TrackingSettings,
)

__all__ = [
    "PROFILES",
    "PROFILE_NAMES",
    "AlignmentSettings",
    "DataSettings",
    "DriftSettings",
    "EncoderSettings",
    "EvidenceSettings",
    "ExplanationSettings",
    "LanguageModelSettings",
    "PolicySettings",
    "Profile",
    "RankingSettings",
    "ReasonSettings",
    "RecommenderSettings",
    "RewardSettings",
    "Section",
    "ServerSettings",
    "Settings",
    "SplitSettings",
    "TeacherSettings",
    "TrackingSettings",
    "load_profile",
    "resolved",
]
